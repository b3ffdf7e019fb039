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
 * one pair at most; `all`: any two, in the order in which they came.
 * @returns the pairs, prompt after prompt, and how many prompts have none. Samples with equal rewards stand in the order in which they
 * came, and are never a pair.
 */
export function comparedPairs(
  rewards: ArrayLike<number>,
  groups: readonly string[],
  pairing: Pairing,
): {pairs: PreferencePair[]; without: number} {
  const found = [...positions(groups).values()].map((own) => {
    const ranked = [...own].sort((i, j) => rewards[j] - rewards[i]);
    const pairs = pairing === 'all' ? pairsOfTwo(own, rewards) : mirroredPairs(ranked, pairing === 'extremes' ? 1 : Infinity);
    return pairs.filter(({better, worse}) => rewards[better] > rewards[worse]);
  });
  return {pairs: found.flat(), without: found.filter((pairs) => pairs.length === 0).length};
}

/** The best against the worst, and so on inwards, of a list from the best to the worst. */
const mirroredPairs = (ranked: readonly number[], most: number): PreferencePair[] =>
  Array.from({length: Math.min(most, Math.floor(ranked.length / 2))}, (_, i) => ({
    better: ranked[i],
    worse: ranked[ranked.length - 1 - i],
  }));

const pairsOfTwo = (own: readonly number[], rewards: ArrayLike<number>): PreferencePair[] =>
  own.flatMap((i, at) => own.slice(at + 1).map((j) => (rewards[i] > rewards[j] ? {better: i, worse: j} : {better: j, worse: i})));
