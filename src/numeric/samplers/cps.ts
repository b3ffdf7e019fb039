/** Coefficient-preserving sampling: noise is swapped, not added, so that every latent has exactly the noise level it says. */
import {ConfigError} from '../../errors.js';
import {checkSigmas, type Transition} from './sampler.js';

/** Options of {@link cps}. */
export interface CpsOptions {
  /** a in std = σ'·sin(aπ/2), in [0, 1]: the share of the next noise that is fresh. */
  readonly noiseLevel: number;
}

/**
 * CPS: x' = (1 − σ')·x̂0 + σ'·(cos(aπ/2)·ε̂ + sin(aπ/2)·z), where ε̂ = (x − (1 − σ)·x̂0)/σ is the predicted noise. The step
 * that arrives at σ' = 0 is deterministic.
 *
 * @source Wang & Yu 2025, "Coefficients-preserving sampling for reinforcement learning with flow matching".
 * @throws ConfigError if the noise levels do not fall within [0, 1] or the noise level is outside [0, 1].
 */
export function cps(sigmas: readonly number[], {noiseLevel}: CpsOptions): Transition[] {
  checkSigmas('cps', sigmas);
  if (!(noiseLevel >= 0 && noiseLevel <= 1)) {
    throw new ConfigError(`cps: noiseLevel must be in [0, 1]; got ${noiseLevel}.`);
  }
  const kept = Math.cos((noiseLevel * Math.PI) / 2);
  const fresh = Math.sin((noiseLevel * Math.PI) / 2);
  return sigmas.slice(0, -1).map((sigma, i) => {
    const next = sigmas[i + 1];
    const predictedNoise = next * kept;
    return {
      time: sigma,
      nextTime: next,
      scale: 1,
      a: predictedNoise / sigma,
      b: 1 - next - (predictedNoise * (1 - sigma)) / sigma,
      std: next * fresh,
    };
  });
}
