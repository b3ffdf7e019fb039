/** What a gradient is, and the helpers that most of them need. */
import * as tf from '@tensorflow/tfjs-core';

/** Gradients of one family of kernels, in the form that tfjs registers. */
export type Gradient = Omit<tf.GradConfig, 'kernelName'>;

/** Gradients by kernel name. */
export type Gradients = Readonly<Record<string, Gradient>>;

/** The gradient of a kernel with one result. */
export const one = (dy: tf.Tensor | tf.Tensor[]): tf.Tensor => dy as tf.Tensor;

/** The gradients of a kernel with a list of results; tfjs hands over a bare tensor where the list has one. */
export const several = (dy: tf.Tensor | tf.Tensor[]): tf.Tensor[] => (Array.isArray(dy) ? dy : [dy]);

/** Runs a kernel that tfjs-core has but exports no operator for. */
export const runKernel = (kernel: string, inputs: Record<string, tf.Tensor>, attrs: object): tf.Tensor =>
  tf.engine().runKernel(kernel, inputs, attrs as tf.NamedAttrMap);

/** The numbers from `from` on, `n` of them. */
export const range = (n: number, from = 0): number[] => Array.from({length: n}, (_, i) => from + i);

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
