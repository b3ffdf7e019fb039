/** The GELU's approximation by a hyperbolic tangent, as many published weights want it. */
import * as tf from '@tensorflow/tfjs-core';

const SLOPE = Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;

/**
 * x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))).
 *
 * @source Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2.
 */
export const geluTanh: (x: tf.Tensor) => tf.Tensor = tf.customGrad<tf.Tensor>((...args) => {
  const [x, save] = args as [tf.Tensor, tf.GradSaveFunc];
  const square = tf.square(x);
  const t = tf.tanh(tf.mul(tf.mul(x, tf.add(tf.mul(square, CUBIC), 1)), SLOPE));
  save([x, t]);
  const gradFunc = (dy: tf.Tensor, [a, th]: tf.Tensor[]): tf.Tensor => {
    // d = (1 + t)/2 + x/2·(1 − t²)·√(2/π)·(1 + 3·0.044715·x²)
    const inner = tf.mul(tf.add(tf.mul(tf.square(a), 3 * CUBIC), 1), SLOPE);
    const tail = tf.mul(tf.mul(a, tf.sub(1, tf.square(th))), inner);
    return tf.mul(dy, tf.mul(tf.add(tf.add(th, 1), tail), 0.5));
  };
  return {value: tf.mul(tf.mul(x, 0.5), tf.add(t, 1)), gradFunc};
});
