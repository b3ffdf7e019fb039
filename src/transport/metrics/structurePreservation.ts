/** Whether a map keeps the order of distances. */
import {ShapeError} from '../../errors.js';
import type {Rows} from '../../numeric/moments.js';
import {spearman} from '../../numeric/rankCorrelation.js';
import {pairDistances} from './distances.js';

/** Which distances are ranked. */
export type DistanceSet =
  /** Each pair of distinct points once. */
  | 'pairs'
  /** The whole square matrix, as the released code does: its n zeros of the diagonal raise the coefficient. */
  | 'matrix';

/**
 * Spearman's ρ between the pairwise Euclidean distances of points before a map and after it.
 *
 * @param before `[n, …]` and
 * @param after `[n, …]`: row i of both is the same point.
 * @param distances default `pairs`; `matrix` gives the numbers of PISCES' released code, which are larger (.80 for .74, for 12
 * points in 4 dimensions; the difference fades as 1/n).
 * @returns in [-1, 1]; NaN for fewer than three points, or if all are equally far.
 * @source PISCES, arXiv:2602.01624, §3.2 and table 4; released `structure_preservation`.
 * @throws ShapeError if the numbers of rows differ.
 */
export function structurePreservation(before: Rows, after: Rows, distances: DistanceSet = 'pairs'): number {
  const count = before.shape[0];
  if (count !== after.shape[0]) {
    throw new ShapeError(
      `structurePreservation: wanted the same points before and after; got ${count} and ${after.shape[0]} rows.`,
    );
  }
  // Ranks of distances are those of their squares.
  const [a, b] = [pairDistances(before), pairDistances(after)];
  if (distances === 'pairs') return spearman(a, b);
  const matrix = (pairs: Float64Array): Float64Array => {
    const out = new Float64Array(count * count);
    out.set(pairs, count);
    out.set(pairs, count + pairs.length);
    return out;
  };
  return spearman(matrix(a), matrix(b));
}
