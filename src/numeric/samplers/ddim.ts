/** The sampler of DDPO: DDIM with noise, for models in the variance-preserving convention x = √ᾱ·x0 + √(1 − ᾱ)·ε. */
import {ConfigError} from '../../errors.js';
import type {Transition} from './sampler.js';

/**
 * One DDIM step from level ᾱ to the less noisy level ᾱ'.
 *
 * std = η·√((1 − ᾱ')/(1 − ᾱ)·(1 − ᾱ/ᾱ')); the mean is √ᾱ'·x̂0 + √(1 − ᾱ' − std²)·ε̂ with ε̂ = (x − √ᾱ·x̂0)/√(1 − ᾱ). The
 * network is asked as a flow model: dividing x by √ᾱ + √(1 − ᾱ) makes it (1 − t)·x0 + t·ε at
 * t = √(1 − ᾱ)/(√ᾱ + √(1 − ᾱ)), exactly.
 *
 * @param alpha ᾱ in [0, 1).
 * @param nextAlpha ᾱ' in [ᾱ, 1].
 * @param eta η in [0, 1]: 0 deterministic, 1 as noisy as DDPM.
 * @source Song et al. 2021, "Denoising diffusion implicit models", eq. 12 and 16.
 */
export function ddimTransition(alpha: number, nextAlpha: number, eta: number): Transition {
  const noise = Math.sqrt(1 - alpha);
  const std = eta * Math.sqrt(((1 - nextAlpha) / (1 - alpha)) * (1 - alpha / nextAlpha));
  const predictedNoise = Math.sqrt(Math.max(0, 1 - nextAlpha - std * std));
  const scale = 1 / (Math.sqrt(alpha) + noise);
  return {
    time: noise * scale,
    nextTime: Math.sqrt(1 - nextAlpha) / (Math.sqrt(nextAlpha) + Math.sqrt(1 - nextAlpha)),
    scale,
    a: predictedNoise / noise,
    b: Math.sqrt(nextAlpha) - (predictedNoise * Math.sqrt(alpha)) / noise,
    std,
  };
}

/** Options of {@link ddim}. */
export interface DdimOptions {
  /** ᾱ by training timestep, as `alphaBars` makes it. */
  readonly alphas: readonly number[];
  /** Timesteps in acting order, as `timesteps` makes them. */
  readonly timesteps: readonly number[];
  /** η in [0, 1]. */
  readonly eta: number;
  /**
   * Where the last step arrives. `final` (default): ᾱ = 1, the predicted clean latent, a deterministic step; diffusers with
   * `set_alpha_to_one`. `clamp`: ᾱ_0, as ddpo-pytorch clamps the predecessor's index and diffusers does otherwise; the
   * step is still stochastic and leaves a little noise (std .02 for Stable Diffusion's schedule).
   */
  readonly lastAlpha?: 'final' | 'clamp';
}

/**
 * The DDIM table. The predecessor of a timestep is the next one of the list.
 *
 * @deviation The peers use t − ⌊N/steps⌋, which is the same for `leading` spacing and skips levels for the others.
 * @throws ConfigError if eta is outside [0, 1], or the timesteps are not falling indices of `alphas`.
 */
export function ddim({alphas, timesteps, eta, lastAlpha = 'final'}: DdimOptions): Transition[] {
  if (!(eta >= 0 && eta <= 1)) throw new ConfigError(`ddim: eta must be in [0, 1]; got ${eta}.`);
  if (timesteps.length === 0 || timesteps.some((t, i) => !(t in alphas) || (i > 0 && t >= timesteps[i - 1]))) {
    throw new ConfigError(`ddim: timesteps must fall within [0, ${alphas.length}); got [${timesteps.join(', ')}].`);
  }
  return timesteps.map((t, i) => {
    const isLast = i === timesteps.length - 1;
    const nextAlpha = !isLast ? alphas[timesteps[i + 1]] : lastAlpha === 'final' ? 1 : alphas[0];
    return ddimTransition(alphas[t], nextAlpha, eta);
  });
}
