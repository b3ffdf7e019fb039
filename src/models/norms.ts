/** Normalisations that the embedded networks do without and those of others need. Features are the last axis. */
import * as tf from '@tensorflow/tfjs-core';
import {layerNorm} from '../autograd/fused.js';

/**
 * Group normalisation: mean 0 and variance 1 over space and the channels of a group, then a scale and a shift a channel.
 *
 * @param x `[B, …, C]`.
 * @param groups number of groups; C is a multiple.
 * @param scale and @param shift `[C]`.
 * @param epsilon added to the population variance.
 * @source Wu & He 2018, arXiv:1803.08494.
 */
export function groupNorm(x: tf.Tensor, groups: number, scale: tf.Tensor, shift: tf.Tensor, epsilon = 1e-5): tf.Tensor {
  const {shape} = x;
  const [batch, channels] = [shape[0], shape.at(-1)!];
  const positions = x.size / (batch * channels);
  // Each group as one row, so that the layer norm's own backward serves.
  const rows = tf.transpose(tf.reshape(x, [batch, positions, groups, channels / groups]), [0, 2, 1, 3]);
  const normal = tf.reshape(layerNorm(tf.reshape(rows, [batch * groups, -1]), epsilon), rows.shape);
  const back = tf.reshape(tf.transpose(normal, [0, 2, 1, 3]), shape);
  return tf.add(tf.mul(back, scale), shift);
}

/**
 * Root-mean-square normalisation.
 *
 *   y = scale · x / √(mean x² + ε)
 *
 * @param x `[…, D]`. @param scale `[D]`.
 * @source Zhang & Sennrich 2019, arXiv:1910.07467.
 */
export function rmsNorm(x: tf.Tensor, scale: tf.Tensor, epsilon = 1e-6): tf.Tensor {
  const normalised = tf.customGrad<tf.Tensor>((...args) => {
    const [a, save] = args as [tf.Tensor, tf.GradSaveFunc];
    const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(a), -1, true), epsilon));
    const n = tf.mul(a, inverse);
    save([n, inverse]);
    // dx = (dn − n·mean(dn·n))/rms
    const gradFunc = (dn: tf.Tensor, [N, r]: tf.Tensor[]): tf.Tensor =>
      tf.mul(tf.sub(dn, tf.mul(N, tf.mean(tf.mul(dn, N), -1, true))), r);
    return {value: n, gradFunc};
  });
  return tf.mul(normalised(x), scale);
}

/**
 * Scales vectors along an axis to length 1; those shorter than ε are divided by ε.
 *
 * @param x any shape.
 * @source torch.nn.functional.normalize.
 */
export const unitLength = (x: tf.Tensor, axis = -1, epsilon = 1e-12): tf.Tensor =>
  tf.div(x, tf.maximum(tf.sqrt(tf.sum(tf.square(x), axis, true)), epsilon));
