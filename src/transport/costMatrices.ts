/** Costs of moving mass between two sets of vectors, as arrays in double precision. `src/transport/costs.ts` has them in the graph. */
import type {TokenGeometry} from '../encoder.js';
import {ShapeError} from '../errors.js';
import {layoutOf, type SpatioTemporalOptions} from './costs.js';

/** Vectors of one length: `[count, width]`, row-major. */
export interface PointCloud {
  readonly data: ArrayLike<number>;
  readonly count: number;
  readonly width: number;
}

function requireCloud(where: string, {data, count, width}: PointCloud): void {
  if (data.length !== count * width) {
    throw new ShapeError(`${where}: points [${count}, ${width}] must have ${count * width} elements; got ${data.length}.`);
  }
}

/** The matrix of a function of pairs. */
function matrixOf(where: string, x: PointCloud, y: PointCloud, f: (i: number, j: number) => number): Float64Array {
  requireCloud(where, x);
  requireCloud(where, y);
  if (x.width !== y.width) throw new ShapeError(`${where}: points must have equal widths; got ${x.width} and ${y.width}.`);
  const out = new Float64Array(x.count * y.count);
  for (let i = 0; i < x.count; i++) for (let j = 0; j < y.count; j++) out[i * y.count + j] = f(i, j);
  return out;
}

/** Σ_d x_id·y_jd. */
function inner(x: PointCloud, i: number, y: PointCloud, j: number): number {
  let sum = 0;
  for (let d = 0; d < x.width; d++) sum += x.data[i * x.width + d] * y.data[j * y.width + d];
  return sum;
}

/**
 * Squared Euclidean distances |x_i − y_j|²: `[N, M]`.
 *
 * @throws ShapeError if the points' widths differ, or their data's length.
 */
export const squaredEuclideanMatrix = (x: PointCloud, y: PointCloud): Float64Array =>
  matrixOf('squaredEuclideanMatrix', x, y, (i, j) => {
    let sum = 0;
    for (let d = 0; d < x.width; d++) sum += (x.data[i * x.width + d] - y.data[j * y.width + d]) ** 2;
    return sum;
  });

/**
 * 1 − cos(x_i, y_j); 1 where a vector is 0: `[N, M]`.
 *
 * @throws ShapeError if the points' widths differ, or their data's length.
 */
export function cosineMatrix(x: PointCloud, y: PointCloud): Float64Array {
  const norms = (c: PointCloud): number[] =>
    Array.from({length: c.count}, (_, i) => Math.max(Math.sqrt(inner(c, i, c, i)), 1e-12));
  const [xs, ys] = [norms(x), norms(y)];
  return matrixOf('cosineMatrix', x, y, (i, j) => 1 - inner(x, i, y, j) / (xs[i] * ys[j]));
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
  /** Features of the N words that take part, and of the M video tokens. */
  readonly text: PointCloud;
  readonly video: PointCloud;
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
  const m = places.length;
  if (video.count !== m || weights.length !== text.count * m) {
    throw new ShapeError(
      `spatioTemporalMatrix: the geometry has ${m} video tokens; got features of ${video.count} and ${weights.length} weights for ${text.count} words.`,
    );
  }
  const cost = cosineMatrix(text, video);
  for (let i = 0; i < text.count; i++) {
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
