/**
 * What a sampler is: a table of affine Gaussian transitions. Every sampler of rlft draws
 *
 *   x' = a·x + b·x̂0 + std·z,   z ~ N(0, I),
 *
 * where x is the current latent and x̂0 the clean latent that the network predicts from it. The coefficients depend on the
 * step alone, so a sampler is a function that returns rows of numbers, and one compiled graph (`numeric/transition.ts`)
 * serves all samplers and all steps.
 */
import {ConfigError} from '../../errors.js';

/**
 * One step of a sampler. The network is always asked as a flow model: it sees `scale · x` and `time`. Losses that weigh steps
 * find the step's length as time − nextTime and its diffusion coefficient as std/√(time − nextTime).
 */
export interface Transition {
  /** Flow time t in (0, 1] given to the network: its input is (1 − t)·x0 + t·ε. */
  readonly time: number;
  /** Flow time in [0, 1) that the step arrives at. */
  readonly nextTime: number;
  /** The latent is multiplied by this before the network sees it; 1 for flow samplers. */
  readonly scale: number;
  /** Weight of the latent in the mean. */
  readonly a: number;
  /** Weight of the predicted clean latent in the mean. */
  readonly b: number;
  /** Standard deviation of the noise; 0 means a deterministic step, which has no density and nothing to learn from. */
  readonly std: number;
}

/**
 * Checks noise levels in acting order.
 *
 * @throws ConfigError unless there are at least two, falling strictly, within [0, 1].
 */
export function checkSigmas(where: string, sigmas: readonly number[]): void {
  const falling = sigmas.every((sigma, i) => sigma >= 0 && sigma <= 1 && (i === 0 || sigma < sigmas[i - 1]));
  if (sigmas.length < 2 || !falling) {
    throw new ConfigError(`${where}: sigmas must be at least two numbers that fall within [0, 1]; got [${sigmas.join(', ')}].`);
  }
}

/**
 * A transition of the flow SDE dx = (v + s²/(2σ)·(x + (1 − σ)·v))dσ + s·dw from σ to σ' < σ by Euler-Maruyama, with a
 * diffusion coefficient s that is constant over the step; s = 0 is the Euler step of the probability-flow ODE.
 *
 * With Δ = σ' − σ and v = (x − x̂0)/σ the mean is x·(1 + s²Δ/2σ) + v·(1 + s²(1 − σ)/2σ)·Δ, and std = s·√−Δ.
 *
 * @source Liu et al. 2025, "Flow-GRPO: training flow matching models via online RL", the stochastic sampling section.
 */
export function flowTransition(sigma: number, nextSigma: number, s: number): Transition {
  const step = nextSigma - sigma;
  const drift = (s * s) / (2 * sigma);
  const velocity = (1 + drift * (1 - sigma)) * step;
  return {
    time: sigma,
    nextTime: nextSigma,
    scale: 1,
    a: 1 + drift * step + velocity / sigma,
    b: -velocity / sigma,
    std: s * Math.sqrt(-step),
  };
}

/** What the SDE samplers do in the last step, which arrives at the clean latent. */
export type LastStep = 'ode' | 'sde';

/** Rows of {@link flowTransition} with a diffusion coefficient for each step; `lastStep: 'ode'` makes the last one x̂0. */
export function flowTable(sigmas: readonly number[], diffusion: (step: number) => number, lastStep: LastStep): Transition[] {
  const steps = sigmas.length - 1;
  return Array.from({length: steps}, (_, i) =>
    flowTransition(sigmas[i], sigmas[i + 1], lastStep === 'ode' && i === steps - 1 ? 0 : diffusion(i)),
  );
}
