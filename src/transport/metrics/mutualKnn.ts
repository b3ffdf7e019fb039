/** How far two spaces agree on who is near whom. */
import {ShapeError} from '../../errors.js';
import type {Rows} from '../../numeric/moments.js';
import {nearestNeighbours, unitRows} from './distances.js';

/**
 * Mutual k-nearest-neighbour score: the share of a point's k nearest neighbours in one space that are among its k nearest in the
 * other, in the mean over points. 1: the same neighbourhoods; by chance k/(n − 1), so it is comparable only at equal n and k.
 *
 * @param x `[n, …]` and
 * @param y `[n, …]`: row i of both is the same thing, such as a caption and its video; the widths may differ.
 * @param k neighbours, by cosine, the point itself left out; cut to n − 1.
 * @returns in [0, 1].
 * @source Huh et al. 2024, "The Platonic Representation Hypothesis", arXiv:2405.07987; PISCES, arXiv:2602.01624, table 4.
 * @throws ShapeError if the numbers of rows differ, or are below 2.
 */
export function mutualKnn(x: Rows, y: Rows, k: number): number {
  const shares = sharedNeighbours(x, y, k);
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

/**
 * The share of each point's k nearest neighbours in one space that are among its k nearest in the other: `[n]`, whose mean is
 * {@link mutualKnn}.
 *
 * @throws ShapeError as `mutualKnn`.
 */
export function sharedNeighbours(x: Rows, y: Rows, k: number): Float64Array {
  const count = x.shape[0];
  if (count !== y.shape[0] || count < 2) {
    throw new ShapeError(`mutualKnn: wanted the same two or more points in both spaces; got ${count} and ${y.shape[0]} rows.`);
  }
  const [a, b] = [x, y].map((points) => nearestNeighbours(unitRows(points), k));
  return Float64Array.from({length: count}, (_, i) => {
    const inX = new Set(a.indices.subarray(i * a.k, (i + 1) * a.k));
    let shared = 0;
    for (const j of b.indices.subarray(i * b.k, (i + 1) * b.k)) if (inX.has(j)) shared++;
    return shared / a.k;
  });
}
