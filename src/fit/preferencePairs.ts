/** Labels of pairs, as people give them: with mistakes; and how many of them scores agree with. */
import type {PreferencePair} from '../numeric/comparedPairs.js';
import {uniforms} from '../tensor/random.js';

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
