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
 * The next Lagrange multiplier of a constraint mean ≥ floor: max(0, λ + rate·clip((floor − mean)/std, ±1)).
 *
 * @param multiplier λ ≥ 0.
 * @param measured mean of the constrained reward over an iteration's samples, and their deviation.
 * @param floor in the unit of that reward.
 * @param rate the largest step.
 * @source Boyd & Vandenberghe 2004, "Convex optimization", §5.1: ascent of the dual; in reinforcement learning Tessler et al. 2019,
 * "Reward constrained policy optimization", arXiv:1805.11074, eq. 5.
 * @deviation The step is measured in deviations of the samples and limited, so that it does not depend on the reward's unit, and a
 * policy that begins far below the floor does not leave a multiplier behind that takes as long again to fall.
 */
export function nextMultiplier(
  multiplier: number,
  {mean, std}: {readonly mean: number; readonly std: number},
  floor: number,
  rate: number,
): number {
  const short = floor - mean;
  return Math.max(0, multiplier + rate * (Math.abs(short) < std ? short / std : Math.sign(short)));
}
