/** The stochastic sampler of Flow-GRPO: the flow ODE turned into an SDE with the same marginals. */
import {ConfigError} from '../../errors.js';
import {checkSigmas, flowTable, type LastStep, type Transition} from './sampler.js';

/** Options of {@link flowSde}. */
export interface FlowSdeOptions {
  /** a in s = a·√(σ/(1 − σ)); ≥ 0, published runs use 0.7 to 1. */
  readonly noiseLevel: number;
  /**
   * σ that stands for the starting one inside 1 − σ, where the formula has a pole: `next` (default) is the second noise
   * level, as in Flow-GRPO; a number is used as it is (UniRL's kernel: .99, which doubles the first step's noise).
   *
   * @deviation Flow-GRPO tests σ == 1, which misses schedules that start at .999999; here it is σ ≥ .999.
   */
  readonly initialSigma?: 'next' | number;
  /** Upper limit of a step's standard deviation (GenRL: 0.45). Default none. */
  readonly maxStd?: number;
  /**
   * `ode` (default) ends in the predicted clean latent; `sde` adds noise in the last step too.
   *
   * @deviation Flow-GRPO samples as `sde` and leaves the last step out of training, so its videos carry that step's noise.
   */
  readonly lastStep?: LastStep;
}

/**
 * Flow-SDE: s_σ = a·√(σ/(1 − σ)).
 *
 * @param sigmas noise levels in acting order, as `flowSigmas` makes them.
 * @source Liu et al. 2025, "Flow-GRPO"; flow_grpo `sde_step_with_logprob`. Step limit: GenRL.
 * @throws ConfigError if the noise levels do not fall within [0, 1] or an option is out of range.
 */
export function flowSde(
  sigmas: readonly number[],
  {noiseLevel, initialSigma = 'next', maxStd = Infinity, lastStep = 'ode'}: FlowSdeOptions,
): Transition[] {
  checkSigmas('flowSde', sigmas);
  if (!(noiseLevel >= 0)) throw new ConfigError(`flowSde: noiseLevel must be at least 0; got ${noiseLevel}.`);
  if (!(maxStd > 0)) throw new ConfigError(`flowSde: maxStd must be positive; got ${maxStd}.`);
  const start = initialSigma === 'next' ? sigmas[1] : initialSigma;
  if (!(start >= 0 && start < 1)) {
    throw new ConfigError(`flowSde: initialSigma must be "next" or a number in [0, 1); got ${initialSigma}.`);
  }
  const diffusion = (i: number): number => {
    const sigma = sigmas[i];
    const s = noiseLevel * Math.sqrt(sigma / (1 - (sigma >= 0.999 ? start : sigma)));
    return Math.min(s, maxStd / Math.sqrt(sigma - sigmas[i + 1]));
  };
  return flowTable(sigmas, diffusion, lastStep);
}

/**
 * Flow-SDE as Flow-GRPO runs it on Wan: s falls linearly with σ from the second noise level to the last, and there is no
 * noise level to set.
 *
 * @source flow_grpo, `diffusers_patch/wan_pipeline_with_logprob.py`.
 * @throws ConfigError if the noise levels do not fall within [0, 1].
 */
export function wanSde(sigmas: readonly number[], {lastStep = 'ode'}: {readonly lastStep?: LastStep} = {}): Transition[] {
  checkSigmas('wanSde', sigmas);
  const low = sigmas[sigmas.length - 1];
  const high = sigmas[1];
  return flowTable(sigmas, (i) => low + (high - low) * sigmas[i], lastStep);
}
