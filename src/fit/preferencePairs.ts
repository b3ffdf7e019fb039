/** Pairs of clips of one caption with a label which is better: what people are asked for, made of a judge and of mistakes. */
import type {PreferencePair} from '../numeric/comparedPairs.js';
import {uniforms} from '../tensor/random.js';

/**
 * All pairs within groups whose totals differ.
 *
 * @param totals of clips, those of one caption side by side. @param group clips of a caption.
 */
export function rankedPairs(totals: ArrayLike<number>, group: number): PreferencePair[] {
  const pairs: PreferencePair[] = [];
  for (let i = 0; i < totals.length; i++) {
    const end = (Math.floor(i / group) + 1) * group;
    for (let j = i + 1; j < end; j++) {
      if (totals[i] > totals[j]) pairs.push({better: i, worse: j});
      if (totals[i] < totals[j]) pairs.push({better: j, worse: i});
    }
  }
  return pairs;
}

/** The pairs with each label turned round with probability `noise`, in [0, .5]. */
export function mislabelled(pairs: readonly PreferencePair[], noise: number, seed: number): PreferencePair[] {
  const draws = uniforms({seed, purpose: 'preferenceLabels'}, new Float32Array(pairs.length));
  return pairs.map(({better, worse}, i) => (draws[i] < noise ? {better: worse, worse: better} : {better, worse}));
}

/** Share of pairs whose better clip scores higher; equal scores count half. NaN if there are no pairs. */
export function pairAccuracy(scores: ArrayLike<number>, pairs: readonly PreferencePair[]): number {
  const right = pairs.map(({better, worse}) => (scores[better] === scores[worse] ? 0.5 : Number(scores[better] > scores[worse])));
  return right.reduce((sum, x) => sum + x, 0) / pairs.length;
}
