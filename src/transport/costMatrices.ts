/** Costs of moving mass between two sets of vectors, as arrays in double precision. `src/transport/costs.ts` has them in the graph. */
import type {TokenGeometry} from '../encoder.js';
import {ShapeError} from '../errors.js';
import {sizeOfRows, type Rows} from '../numeric/moments.js';
import {layoutOf, type SpatioTemporalOptions} from './costs.js';

/** The matrix of a function of pairs of rows; `f` is given where the rows begin, and their width. */
function matrixOf(where: string, x: Rows, y: Rows, f: (i: number, j: number, width: number) => number): Float64Array {
  const [n, m] = [sizeOfRows(where, x), sizeOfRows(where, y)];
  if (n.width !== m.width) throw new ShapeError(`${where}: wanted vectors of one width; got ${n.width} and ${m.width}.`);
  const out = new Float64Array(n.count * m.count);
  let at = 0;
  for (let i = 0; i < n.count; i++) for (let j = 0; j < m.count; j++) out[at++] = f(i, j, n.width);
  return out;
}

/** Σ_d x_id·y_jd. */
function inner(x: Rows, i: number, y: Rows, j: number, width: number): number {
  let sum = 0;
  for (let d = 0; d < width; d++) sum += x.data[i * width + d] * y.data[j * width + d];
  return sum;
}

/**
 * Squared Euclidean distances |x_i − y_j|².
 *
 * @param x `[N, D]`. @param y `[M, D]`.
 * @returns `[N, M]`.
 * @throws ShapeError if the widths differ.
 */
export const squaredEuclideanMatrix = (x: Rows, y: Rows): Float64Array =>
  matrixOf('squaredEuclideanMatrix', x, y, (i, j, width) => {
    let sum = 0;
    for (let d = 0; d < width; d++) sum += (x.data[i * width + d] - y.data[j * width + d]) ** 2;
    return sum;
  });

/**
 * 1 − cos(x_i, y_j); 1 where a vector is 0.
 *
 * @param x `[N, D]`. @param y `[M, D]`.
 * @returns `[N, M]`.
 * @throws ShapeError if the widths differ.
 */
export function cosineMatrix(x: Rows, y: Rows): Float64Array {
  const norms = (rows: Rows): number[] => {
    const {count, width} = sizeOfRows('cosineMatrix', rows);
    return Array.from({length: count}, (_, i) => Math.max(Math.sqrt(inner(rows, i, rows, i, width)), 1e-12));
  };
  const [xs, ys] = [norms(x), norms(y)];
  return matrixOf('cosineMatrix', x, y, (i, j, width) => 1 - inner(x, i, y, j, width) / (xs[i] * ys[j]));
}

/** A matrix scaled to [0, 1] by its smallest and largest element; a range below 1e-6 counts as 1e-6. */
export function minMaxScaledMatrix(matrix: Float64Array): Float64Array {
  let [low, high] = [Infinity, -Infinity];
  for (const c of matrix) {
    low = Math.min(low, c);
    high = Math.max(high, c);
  }
  const range = Math.max(high - low, 1e-6);
  return matrix.map((c) => (c - low) / range);
}

/** What {@link spatioTemporalMatrix} is computed from. */
export interface SpatioTemporalArrays {
  /** Features of the N words that take part, `[N, D]`, and of the M video tokens, `[M, D]`. */
  readonly text: Rows;
  readonly video: Rows;
  /** Attention of one head: `[N, M]` ≥ 0; rows are normalised here. */
  readonly weights: ArrayLike<number>;
  readonly geometry: TokenGeometry;
}

/**
 * The spatio-temporal cost of one head: see `spatioTemporalCost`.
 *
 * @returns `[N, M]` in [0, 1].
 * @source PISCES, arXiv:2602.01624, §3.3; released `compute_spatiotemporal_cost`.
 * @throws ShapeError if an array has not the size that the others say.
 */
export function spatioTemporalMatrix(inputs: SpatioTemporalArrays, options: SpatioTemporalOptions = {}): Float64Array {
  const {text, video, weights, geometry} = inputs;
  const {temporalWeight = 0.2, spatialWeight = 0.2} = options;
  const {places, placed, frameRange, spatialRange} = layoutOf(geometry, options);
  const [n, m] = [text.shape[0], places.length];
  if (video.shape[0] !== m || weights.length !== n * m) {
    throw new ShapeError(
      `spatioTemporalMatrix: the geometry has ${m} video tokens; got features of ${video.shape[0]} and ${weights.length} weights for ${n} words.`,
    );
  }
  const cost = cosineMatrix(text, video);
  for (let i = 0; i < n; i++) {
    const expected = [0, 0, 0];
    let sum = 0;
    for (let j = 0; j < m; j++) {
      const a = placed[j] ? weights[i * m + j] : 0;
      sum += a;
      for (let axis = 0; axis < 3; axis++) expected[axis] += a * places[j][axis];
    }
    const [frame, row, column] = expected.map((e) => e / Math.max(sum, 1e-12));
    for (let j = 0; j < m; j++) {
      if (!placed[j]) continue;
      const [f, r, c] = places[j];
      cost[i * m + j] += (temporalWeight * Math.abs(frame - f)) / frameRange;
      cost[i * m + j] += (spatialWeight * Math.hypot(row - r, column - c)) / spatialRange;
    }
  }
  return minMaxScaledMatrix(cost);
}
