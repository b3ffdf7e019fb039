/** Costs of moving mass between two sets of vectors, in the graph. `src/transport/costMatrices.ts` has them for arrays. */
import * as tf from '@tensorflow/tfjs-core';
import type {TokenGeometry} from '../encoder.js';
import {ShapeError} from '../errors.js';

/** Larger than any cost: what keeps padding out of a minimum. */
const BEYOND = 1e9;

/**
 * Squared Euclidean distances |x_i − y_j|².
 *
 * @param x `[…, N, D]`. @param y `[…, M, D]`.
 * @returns `[…, N, M]`, at least 0.
 */
export function squaredEuclideanCost(x: tf.Tensor, y: tf.Tensor): tf.Tensor {
  const squares = (t: tf.Tensor): tf.Tensor => tf.sum(tf.square(t), -1, true);
  const [xx, yy] = [squares(x), squares(y)];
  const across = tf.reshape(yy, [...yy.shape.slice(0, -2), 1, yy.shape.at(-2)!]);
  return tf.relu(tf.sub(tf.add(xx, across), tf.mul(tf.matMul(x, y, false, true), 2)));
}

/** Vectors scaled to length 1; shorter ones than 1e-12 stay near 0, so that their cosine with everything is 0. */
const unit = (x: tf.Tensor): tf.Tensor => tf.div(x, tf.sqrt(tf.maximum(tf.sum(tf.square(x), -1, true), 1e-24)));

/**
 * 1 − cos(x_i, y_j); 1 where a vector is 0.
 *
 * @param x `[…, N, D]`. @param y `[…, M, D]`.
 * @returns `[…, N, M]` in [0, 2].
 */
export const cosineCost = (x: tf.Tensor, y: tf.Tensor): tf.Tensor => tf.sub(1, tf.matMul(unit(x), unit(y), false, true));

/**
 * Scales each matrix to [0, 1] by its smallest and largest element; a range below 1e-6 counts as 1e-6.
 *
 * @param cost `[…, N, M]`.
 * @param rows `[…, N]`, broadcast over leading axes: 1 for rows that count, 0 for padding, which has no part in the range and is
 * clipped to it.
 */
export function minMaxScaled(cost: tf.Tensor, rows?: tf.Tensor): tf.Tensor {
  const away = rows && tf.mul(tf.sub(1, tf.expandDims(rows, -1)), BEYOND);
  const low = tf.min(away ? tf.add(cost, away) : cost, [-2, -1], true);
  const high = tf.max(away ? tf.sub(cost, away) : cost, [-2, -1], true);
  return tf.clipByValue(tf.div(tf.sub(cost, low), tf.maximum(tf.sub(high, low), 1e-6)), 0, 1);
}

/** How the terms of the spatio-temporal cost are weighed. */
export interface SpatioTemporalOptions {
  /** γ ≥ 0. Default .2. */
  readonly temporalWeight?: number;
  /** η ≥ 0. Default .2. */
  readonly spatialWeight?: number;
  /**
   * What distances are divided by: the largest distance between two video tokens (`paper`: each added term lies in [0, 1]), or √2,
   * the diagonal of a frame (`released`, default). They differ if a token has no place, or if the grid is one row or column.
   */
  readonly spatialRange?: 'paper' | 'released';
  /**
   * Video tokens without a place, such as CLS: their −1s enter expectations and ranges as if they were a place (`sentinel`,
   * default, as released), or they are left out, and moving mass to them costs no time and no way (`free`).
   */
  readonly unplaced?: 'sentinel' | 'free';
}

/** What a token geometry comes to. */
interface Layout {
  /** Frame, row and column of each token as the columns of `[M, 3]`. */
  readonly places: readonly (readonly [number, number, number])[];
  /** Whether each token counts. */
  readonly placed: readonly boolean[];
  readonly frameRange: number;
  readonly spatialRange: number;
}

/** The largest distance between two of some points: that of the corners of their box, for full grids and a sentinel off them. */
const diagonal = (points: readonly (readonly number[])[]): number => {
  const span = (axis: number): number => {
    const along = points.map((p) => p[axis]);
    return Math.max(...along) - Math.min(...along);
  };
  return Math.hypot(span(1), span(2));
};

/**
 * Reads a geometry: where its tokens are and how far apart.
 *
 * @throws ShapeError if it has no token, or fewer rows or columns than frames.
 */
export function layoutOf(
  {frames, rows, columns}: TokenGeometry,
  {spatialRange = 'released', unplaced = 'sentinel'}: SpatioTemporalOptions,
): Layout {
  if (frames.length === 0 || rows.length !== frames.length || columns.length !== frames.length) {
    throw new ShapeError(
      `spatioTemporalCost: the geometry needs a frame, row and column for each video token; got ${frames.length}, ${rows.length} and ${columns.length}.`,
    );
  }
  const places = frames.map((f, j) => [f, rows[j], columns[j]] as const);
  const placed = frames.map((f) => unplaced === 'sentinel' || f >= 0);
  const counted = places.filter((_, j) => placed[j]);
  const times = counted.map(([f]) => f);
  const frameRange = Math.max(...times) - Math.min(...times);
  const widest = spatialRange === 'paper' ? diagonal(counted) : Math.SQRT2;
  // A range of 0 means that all distances are 0 too; of no placed tokens at all, that none counts.
  return {places, placed, frameRange: frameRange > 0 ? frameRange : 1, spatialRange: widest > 0 ? widest : 1};
}

/** What {@link spatioTemporalCost} is computed from. */
export interface SpatioTemporalInputs {
  /** Text token features y: `[B, N, D]`. */
  readonly text: tf.Tensor;
  /** Video token features x: `[B, M, D]`. */
  readonly video: tf.Tensor;
  /** Attention A: `[B, heads, N, M]` ≥ 0; its rows are normalised here. */
  readonly weights: tf.Tensor;
  /** Of the M video tokens. */
  readonly geometry: TokenGeometry;
  /** `[B, N]`: 1 for rows that take part, 0 for those that do not; default all. */
  readonly rows?: tf.Tensor;
}

/** Σ_j A_ij·(frame, row, column)_j over the placed tokens: where each text token looks on average, `[B, heads, N, 3]`. */
export function expectedPlaces(weights: tf.Tensor, {places, placed}: Layout): tf.Tensor {
  const kept = placed.every(Boolean) ? weights : tf.mul(weights, tf.tensor1d(placed.map(Number), 'float32'));
  const table = tf.tensor2d(
    places.map((p, j) => (placed[j] ? [...p] : [0, 0, 0])),
    [places.length, 3],
    'float32',
  );
  const sums = tf.sum(kept, -1, true);
  const flat = tf.matMul(tf.reshape(kept, [-1, places.length]), table);
  return tf.div(tf.reshape(flat, [...weights.shape.slice(0, -1), 3]), tf.maximum(sums, 1e-12));
}

/**
 * The cost of matching words with places in a video:
 *
 *   C_ij = 1 − cos(y_i, x_j) + γ·|τ_i − t_j|/range + η·|π_i − s_j|/range,
 *
 * scaled to [0, 1] by its extremes. τ_i and π_i are the frame and the position at which word i looks, in the mean over its
 * attention; t_j and s_j those of video token j.
 *
 * @returns `[B, heads, N, M]` in [0, 1].
 * @source PISCES, arXiv:2602.01624, §3.3; released `compute_spatiotemporal_cost`.
 * @throws ShapeError if the geometry is not that of M tokens.
 */
export function spatioTemporalCost(inputs: SpatioTemporalInputs, options: SpatioTemporalOptions = {}): tf.Tensor {
  const {text, video, weights, geometry, rows} = inputs;
  const {temporalWeight = 0.2, spatialWeight = 0.2} = options;
  const layout = layoutOf(geometry, options);
  const tokens = layout.places.length;
  if (weights.shape.at(-1) !== tokens || video.shape.at(-2) !== tokens) {
    throw new ShapeError(
      `spatioTemporalCost: the geometry has ${tokens} video tokens; attention is [${weights.shape.join(', ')}], video features [${video.shape.join(', ')}].`,
    );
  }
  let cost = tf.expandDims(cosineCost(text, video), 1);
  if (temporalWeight > 0 || spatialWeight > 0) {
    const [frame, row, column] = tf.split(expectedPlaces(weights, layout), 3, -1);
    const along = (axis: 0 | 1 | 2): tf.Tensor =>
      tf.tensor1d(
        layout.places.map((p) => p[axis]),
        'float32',
      );
    /** A term, without the tokens that it says nothing about. */
    const counted = (term: tf.Tensor, scale: number): tf.Tensor =>
      tf.mul(
        term,
        tf.tensor1d(
          layout.placed.map((p) => (p ? scale : 0)),
          'float32',
        ),
      );
    if (temporalWeight > 0) {
      cost = tf.add(cost, counted(tf.abs(tf.sub(frame, along(0))), temporalWeight / layout.frameRange));
    }
    if (spatialWeight > 0) {
      const squares = tf.add(tf.square(tf.sub(row, along(1))), tf.square(tf.sub(column, along(2))));
      // A distance has no gradient at 0; this makes it 1e-7 there.
      const distances = tf.sqrt(tf.add(squares, 1e-14));
      cost = tf.add(cost, counted(distances, spatialWeight / layout.spatialRange));
    }
  }
  const full = [...weights.shape.slice(0, 2), ...cost.shape.slice(2)];
  return minMaxScaled(tf.broadcastTo(cost, full), rows && tf.expandDims(rows, 1));
}
