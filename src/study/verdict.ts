/** What a study says of a claim: it can come out any of three ways, and the interval alone decides. */
import type {Interval} from '../evaluate/bootstrap.js';

/** How a claim came out. */
export type Verdict = 'confirmed' | 'refuted' | 'undecided';

/**
 * An interval at least so wide that what no item of a sample showed may yet be: where nothing happened in n items, its share can
 * be up to 3/n. A bootstrap of such a sample draws nothing but the same again, and its interval has no width.
 *
 * @param items size of the sample.
 * @source Eypasch et al. 1995, "Probability of adverse events that have not yet occurred".
 */
export const ruleOfThree = ({mean, low, high}: Interval, items: number): Interval => ({
  mean,
  low: Math.min(low, mean - 3 / items),
  high: Math.max(high, mean + 3 / items),
});

/**
 * Confirmed if the whole interval lies above the threshold, refuted if the whole of it lies below, undecided if it holds it. An
 * interval that is not known (NaN) decides nothing.
 *
 * @param threshold the smallest value that the claim allows.
 */
export function verdictOf({low, high}: Interval, threshold: number): Verdict {
  if (low > threshold) return 'confirmed';
  return high < threshold ? 'refuted' : 'undecided';
}

/** All of several claims: confirmed if each is, refuted if one is. Of no claims at all nothing is known. */
export function allOf(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes('refuted')) return 'refuted';
  return verdicts.length > 0 && verdicts.every((verdict) => verdict === 'confirmed') ? 'confirmed' : 'undecided';
}

/** A claim of the paper, measured here. */
export interface Claim {
  /** Short and unique within its study. */
  readonly name: string;
  /** The claim in words. */
  readonly says: string;
  /** What the paper measured, or where it says so. */
  readonly paper: string;
  /** What has to lie above the threshold. */
  readonly measured: Interval;
  readonly threshold: number;
  readonly verdict: Verdict;
}

/** A claim with its verdict. */
export const claim = (parts: Omit<Claim, 'verdict'>): Claim => ({
  ...parts,
  verdict: verdictOf(parts.measured, parts.threshold),
});
