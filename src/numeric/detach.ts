/** Stops gradients. */
import * as tf from '@tensorflow/tfjs-core';

const identityWithoutGradient = tf.customGrad((x) => ({
  value: tf.clone(x as tf.Tensor),
  gradFunc: (dy: tf.Tensor) => tf.zerosLike(dy),
}));

/** The same values, through which no gradient flows: "sg(x)" in the papers. */
export const detach = (x: tf.Tensor): tf.Tensor => identityWithoutGradient(x);
