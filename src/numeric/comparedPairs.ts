/** Pairs of samples of one prompt, the better one first, out of their rewards. */
import {positions} from './advantages.js';

/** Two clips by their rows; the label says that `better` is. */
export interface PreferencePair {
  readonly better: number;
  readonly worse: number;
}

/** Which pairs of a prompt's samples are compared. */
export const pairingNames = ['mirrored', 'extremes', 'all'] as const;
/** One of them. */
export type Pairing = (typeof pairingNames)[number];

/**
 * The pairs among the samples of each prompt whose rewards differ.
 *
 * @param rewards one a sample.
 * @param groups the prompt of each.
 * @param pairing `extremes`: the best against the worst; `mirrored`: the i-th best against the i-th worst, so that each sample is in
 * one pair at most; `all`: any two.
 * @returns the pairs, prompt after prompt, and how many prompts have none. Samples with equal rewards stand in the order in which they
 * came, and are never a pair.
 */
export function comparedPairs(
  rewards: ArrayLike<number>,
  groups: readonly string[],
  pairing: Pairing,
): {pairs: PreferencePair[]; without: number} {
  const found = [...positions(groups).values()].map((own) => {
    const ranked = own.sort((i, j) => rewards[j] - rewards[i]);
    return pairsOf(ranked, pairing).filter(({better, worse}) => rewards[better] > rewards[worse]);
  });
  return {pairs: found.flat(), without: found.filter((pairs) => pairs.length === 0).length};
}

/** Pairs of a list from the best to the worst. */
function pairsOf(ranked: readonly number[], pairing: Pairing): PreferencePair[] {
  const mirrored = (count: number): PreferencePair[] =>
    Array.from({length: count}, (_, i) => ({better: ranked[i], worse: ranked[ranked.length - 1 - i]}));
  switch (pairing) {
    case 'extremes':
      return mirrored(Math.min(1, ranked.length - 1));
    case 'mirrored':
      return mirrored(Math.floor(ranked.length / 2));
    case 'all':
      return ranked.flatMap((better, i) => ranked.slice(i + 1).map((worse) => ({better, worse})));
  }
}
