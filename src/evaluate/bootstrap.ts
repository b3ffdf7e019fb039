/** Paired intervals: the same prompts and the same noise before and after. */
import {uniforms} from '../tensor/random.js';

/** A mean and its 95 % interval. */
export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** Several statistics of all items, and of each draw with replacement: the same draw for all, so that differences are paired. */
export interface Resampled {
  readonly whole: readonly number[];
  readonly draws: readonly (readonly number[])[];
}

/**
 * Draws items with replacement, and computes statistics of each draw.
 *
 * @param count items; each draw takes `count` of them.
 * @param statistics of a list of item indices.
 * @param seed draws are keyed by it, so that a report can be made again.
 * @source Efron & Tibshirani 1993, chapter 13.
 */
export function resample(
  count: number,
  statistics: (indices: ArrayLike<number>) => readonly number[],
  seed: number,
  draws = 2000,
): Resampled {
  const all = Int32Array.from({length: count}, (_, i) => i);
  const u = uniforms({seed, purpose: 'bootstrap'}, new Float32Array(count * draws));
  return {
    whole: statistics(all),
    draws: Array.from({length: draws}, (_, d) =>
      statistics(all.map((_item, i) => Math.min(count - 1, Math.floor(u[d * count + i] * count)))),
    ),
  };
}

/**
 * Percentile interval of a function of the statistics, such as a difference of two.
 *
 * @source Efron & Tibshirani 1993, chapter 13.
 */
export function intervalOf({whole, draws}: Resampled, value: (statistics: readonly number[]) => number): Interval {
  const values = Float64Array.from(draws, value).sort();
  const at = (q: number): number => values[Math.min(values.length - 1, Math.max(0, Math.round(q * (values.length - 1))))];
  return {mean: value(whole), low: at(0.025), high: at(0.975)};
}

/**
 * Percentile bootstrap of a statistic of prompts.
 *
 * @param count prompts; each draw takes `count` of them with replacement.
 * @param statistic of a list of prompt indices, such as an aggregate difference.
 * @param seed draws are keyed by it, so that a report can be made again.
 * @source Efron & Tibshirani 1993, chapter 13.
 */
export const bootstrap = (
  count: number,
  statistic: (indices: ArrayLike<number>) => number,
  seed: number,
  draws = 2000,
): Interval =>
  intervalOf(
    resample(count, (indices) => [statistic(indices)], seed, draws),
    ([value]) => value,
  );
