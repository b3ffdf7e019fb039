/** Gradient clipping by the global norm. */
import * as tf from '@tensorflow/tfjs-core';

/** √Σ‖g‖² over several tensors. */
export const globalNorm = (gradients: readonly tf.Tensor[]): tf.Tensor =>
  tf.sqrt(gradients.map((g) => tf.sum(tf.square(g))).reduce((a, b) => tf.add(a, b)));

/**
 * Scales gradients so that their global norm is at most `maxNorm`: g·min(1, maxNorm/(‖g‖ + 1e-6)).
 *
 * @param maxNorm scalar tensor, > 0.
 * @returns the scaled gradients and the norm before scaling.
 * @source torch.nn.utils.clip_grad_norm_, whose 1e-6 is kept so that equal inputs give equal numbers.
 */
export function clipByGlobalNorm(gradients: readonly tf.Tensor[], maxNorm: tf.Tensor): {gradients: tf.Tensor[]; norm: tf.Tensor} {
  const norm = globalNorm(gradients);
  const scale = tf.minimum(tf.div(maxNorm, tf.add(norm, 1e-6)), 1);
  return {gradients: gradients.map((g) => tf.mul(g, scale)), norm};
}
