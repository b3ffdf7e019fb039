/** What a gradient is, and the helper that most of them need. */
import * as tf from '@tensorflow/tfjs-core';

/** Gradients of one family of kernels, in the form that tfjs registers. */
export type Gradient = Omit<tf.GradConfig, 'kernelName'>;

/**
 * Sums a gradient over the axes along which its operand was repeated.
 *
 * @param dy gradient of the broadcast result.
 * @param shape of the operand.
 */
export function unbroadcast(dy: tf.Tensor, shape: readonly number[]): tf.Tensor {
  const extra = dy.shape.length - shape.length;
  const axes = dy.shape.flatMap((d, i) => (i < extra || (shape[i - extra] === 1 && d !== 1) ? [i] : []));
  const summed = axes.length > 0 ? tf.sum(dy, axes) : dy;
  return tf.reshape(summed, [...shape]);
}
