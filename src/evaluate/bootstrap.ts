/** Paired intervals: the same prompts and the same noise before and after. */
import {uniforms} from '../tensor/random.js';

/** A mean and its 95 % interval. */
export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Percentile bootstrap of a statistic of prompts.
 *
 * @param count prompts; each draw takes `count` of them with replacement.
 * @param statistic of a list of prompt indices, such as an aggregate difference.
 * @param seed draws are keyed by it, so that a report can be made again.
 * @source Efron & Tibshirani 1993, chapter 13.
 */
export function bootstrap(
  count: number,
  statistic: (indices: ArrayLike<number>) => number,
  seed: number,
  draws = 2000,
): Interval {
  const all = Int32Array.from({length: count}, (_, i) => i);
  const u = uniforms({seed, purpose: 'bootstrap'}, new Float32Array(count * draws));
  const values = Float64Array.from({length: draws}, (_, d) => {
    const indices = all.map((_, i) => Math.min(count - 1, Math.floor(u[d * count + i] * count)));
    return statistic(indices);
  }).sort();
  const at = (q: number): number => values[Math.min(draws - 1, Math.max(0, Math.round(q * (draws - 1))))];
  return {mean: statistic(all), low: at(0.025), high: at(0.975)};
}
