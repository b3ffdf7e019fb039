/** Coefficients that are steered from iteration to iteration by what was measured. */

/**
 * The next weight of a divergence penalty that is to keep the divergence near a target:
 * β·(1 + 0.1·clip(divergence/target − 1, ±0.2)), so at most 2 % a step.
 *
 * @param coefficient β > 0.
 * @param divergence that was measured, nats an element.
 * @param target > 0, in the same unit.
 * @source Ziegler et al. 2019, "Fine-tuning language models from human preferences", arXiv:1909.08593, §2.2.
 */
export const steeredCoefficient = (coefficient: number, divergence: number, target: number): number =>
  coefficient * (1 + 0.1 * Math.min(0.2, Math.max(-0.2, divergence / target - 1)));

/**
 * The next Lagrange multiplier of a constraint value ≥ floor: max(0, λ + rate·(floor − value)).
 *
 * @param multiplier λ ≥ 0.
 * @param value that was measured, in the unit of the constrained reward.
 * @param rate step size, per unit of that reward.
 * @source Boyd & Vandenberghe 2004, "Convex optimization", §5.1: dual ascent by the gradient; in reinforcement learning Tessler
 * et al. 2019, "Reward constrained policy optimization", arXiv:1805.11074, eq. 5.
 */
export const nextMultiplier = (multiplier: number, value: number, floor: number, rate: number): number =>
  Math.max(0, multiplier + rate * (floor - value));
