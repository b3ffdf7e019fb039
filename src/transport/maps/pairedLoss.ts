/**
 * Losses that a map can be trained on instead of transport: what table 4 of PISCES compares it with. The paper does not say what
 * its "L2" and "KL" maps minimise beyond these names; the definitions here are ours.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {Moments} from '../../numeric/moments.js';
import {symmetricEigen} from '../../numeric/symmetricEigen.js';
import {float32, type NdArray} from '../../tensor/ndarray.js';

/** Mean squared error of each caption's image and its own video: `[B, E]` both. */
export const squaredError = (mapped: tf.Tensor, video: tf.Tensor): tf.Tensor => tf.mean(tf.square(tf.sub(mapped, video)));

/**
 * KL(p | q) in nats, in the mean over pairs, of the distributions that a softmax over the E features makes of a video (p) and of
 * its caption's image (q).
 */
export function featureDivergence(mapped: tf.Tensor, video: tf.Tensor): tf.Tensor {
  const logs = (x: tf.Tensor): tf.Tensor => {
    const shifted = tf.sub(x, tf.max(x, -1, true));
    return tf.sub(shifted, tf.log(tf.sum(tf.exp(shifted), -1, true)));
  };
  const [logP, logQ] = [logs(video), logs(mapped)];
  return tf.mean(tf.sum(tf.mul(tf.exp(logP), tf.sub(logP, logQ)), -1));
}

/** The Gaussian of the videos, in the form in which {@link gaussianDivergence} needs it. */
export interface Whitening {
  /** `[E]`. */
  readonly mean: NdArray<'float32'>;
  /** `[E, E]`: x − mean times it has covariance 1. */
  readonly matrix: NdArray<'float32'>;
}

/** Smallest variance along an axis, as a share of the mean variance: less is what few vectors leave of nothing. */
const FLOOR = 1e-3;

/** Whitening along the principal axes of a set of vectors. */
export function whiteningOf({mean, covariance}: Moments): Whitening {
  const width = mean.length;
  const {values, vectors} = symmetricEigen(covariance, width);
  const floor = (FLOOR * values.reduce((sum, v) => sum + v, 0)) / width;
  const matrix = Float64Array.from({length: width * width}, (_, at) => {
    const axis = at % width;
    return vectors[axis * width + Math.floor(at / width)] / Math.sqrt(Math.max(values[axis], floor, Number.MIN_VALUE));
  });
  return {mean: float32(mean), matrix: float32(matrix, [width, width])};
}

/**
 * KL of the Gaussian of a batch of images from that of all videos, in nats per feature; no pairs are used:
 *
 *   ½·mean_d (s_d² + m_d² − 1 − ln s_d²),   m and s²: mean and variance of the whitened images along the videos' principal axes
 *
 * Mean and trace are exact. The batch's log determinant is replaced by that of its diagonal, which is at least as large, so this
 * is a lower bound, and it exists for batches smaller than E as well.
 *
 * @param mapped `[B, E]`. @param mean and @param matrix of `whiteningOf`.
 */
export function gaussianDivergence(mapped: tf.Tensor, mean: tf.Tensor, matrix: tf.Tensor): tf.Tensor {
  const whitened = tf.matMul(tf.sub(mapped, mean), matrix);
  const centre = tf.mean(whitened, 0, true);
  const variance = tf.mean(tf.square(tf.sub(whitened, centre)), 0, true);
  const terms = tf.sub(tf.add(variance, tf.square(centre)), tf.add(tf.log(tf.maximum(variance, 1e-12)), 1));
  return tf.mul(tf.mean(terms), 0.5);
}
