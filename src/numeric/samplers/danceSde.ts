/** The stochastic sampler of DanceGRPO. */
import {ConfigError} from '../../errors.js';
import {checkSigmas, flowTable, type LastStep, type Transition} from './sampler.js';

/** Options of {@link danceSde}. */
export interface DanceSdeOptions {
  /** η: the constant diffusion coefficient; ≥ 0, published runs use 0.25 to 0.7. */
  readonly noiseLevel: number;
  /** `ode` (default) ends in the predicted clean latent, which is what DanceGRPO decodes and rewards; `sde` adds noise. */
  readonly lastStep?: LastStep;
}

/**
 * Dance-SDE: the flow SDE with s = η at every step.
 *
 * @source Xue et al. 2025, "DanceGRPO"; its code `flux_step`.
 * @throws ConfigError if the noise levels do not fall within [0, 1] or the noise level is negative.
 */
export function danceSde(sigmas: readonly number[], {noiseLevel, lastStep = 'ode'}: DanceSdeOptions): Transition[] {
  checkSigmas('danceSde', sigmas);
  if (!(noiseLevel >= 0)) throw new ConfigError(`danceSde: noiseLevel must be at least 0; got ${noiseLevel}.`);
  return flowTable(sigmas, () => noiseLevel, lastStep);
}
