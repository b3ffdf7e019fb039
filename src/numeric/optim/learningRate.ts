/** Learning-rate schedules: float64 functions of the update's number, whose results are inputs of the update's graph. */
import {ConfigError} from '../../errors.js';

/** How the rate runs from its peak to its end, after a linear warm-up from 0. */
export type LearningRateSchedule = {
  /** Peak learning rate. */
  readonly rate: number;
  /** Updates until the peak is reached; the rate of update n < warmUp is rate·n/warmUp. Default 0. */
  readonly warmUp?: number;
} & (
  | {readonly kind: 'constant'}
  | {
      /** `linear`, `cosine`: down to `final`. `stable` (WSD): constant up to the share `stableShare` of `steps`, then linear. */
      readonly kind: 'linear' | 'cosine' | 'stable';
      /** Updates of the whole run, warm-up included; the rate stays at `final` from there on. */
      readonly steps: number;
      /** Rate at the end. Default 0. */
      readonly final?: number;
      /** `cosine`: number of descents, each from the peak. Default 1. */
      readonly cycles?: number;
      /** `stable`: share of `steps` at which the descent begins, in [0, 1). Default 0.62. */
      readonly stableShare?: number;
    }
);

/**
 * The learning rate of update `n`, counted from 0; pass n + 1 if the first update of a warm-up is to move.
 *
 * @source Cosine: Loshchilov & Hutter 2017, "SGDR". Warm-up, stable, decay: Hu et al. 2024, "MiniCPM", §4.
 * @deviation diffusers' and torch's cosine rises again after its last step; this one stays at the end.
 * @throws ConfigError if the warm-up leaves no update to descend in.
 */
export function learningRate(schedule: LearningRateSchedule, n: number): number {
  const {rate, warmUp = 0} = schedule;
  if (schedule.kind !== 'constant' && schedule.steps <= warmUp) {
    throw new ConfigError(`learningRate: steps must exceed the warm-up of ${warmUp}; got ${schedule.steps}.`);
  }
  if (n < warmUp) return (rate * n) / warmUp;
  if (schedule.kind === 'constant') return rate;
  const {kind, steps, final = 0, cycles = 1, stableShare = 0.62} = schedule;
  const descentFrom = kind === 'stable' ? Math.max(warmUp, stableShare * steps) : warmUp;
  const progress = Math.max(0, (n - descentFrom) / (steps - descentFrom));
  if (progress >= 1) return final;
  const left = kind === 'cosine' ? (1 + Math.cos(Math.PI * ((progress * cycles) % 1))) / 2 : 1 - progress;
  return final + (rate - final) * left;
}
