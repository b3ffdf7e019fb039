/** A transport plan as a prior on attention. */
import * as tf from '@tensorflow/tfjs-core';

/** What is done with numbers whose logarithm would be −∞: ln(x + e), as the paper, or ln max(x, e), as the released code. */
export type LogFloor = 'add' | 'max';

/** Each row divided by its sum; a row of zeros stays so. `[…, N, M]`. */
export const rowNormalised = (plan: tf.Tensor): tf.Tensor =>
  // The gradient divides by the square, which single precision must still hold.
  tf.div(plan, tf.maximum(tf.sum(plan, -1, true), 1e-18));

/**
 * Attention and prior as a product of two opinions: softmax over j of ln A + ln P, that is A∘P with its rows normalised.
 *
 * @param weights A `[…, N, M]`, rows summing to 1. With `max` no gradient flows where A < e.
 * @param prior P `[…, N, M]`, rows summing to 1.
 * @param rows `[…, N]`: 1 for rows to fuse; where it is 0 the weights stay as they are. Default all. `floor` is
 * `add` by default, and `e` is 1e-6.
 * @source PISCES, arXiv:2602.01624, §3.3; released `fuse_attention_with_partial_ot` (`max`).
 */
export function fuseAttention(
  weights: tf.Tensor,
  prior: tf.Tensor,
  {rows, floor = 'add', e = 1e-6}: {rows?: tf.Tensor | undefined; floor?: LogFloor; e?: number} = {},
): tf.Tensor {
  const positive = (x: tf.Tensor): tf.Tensor => (floor === 'add' ? tf.add(x, e) : tf.clipByValue(x, e, Infinity));
  // softmax(ln x) is x over its sum.
  const product = tf.mul(positive(weights), positive(prior));
  const fused = tf.div(product, tf.sum(product, -1, true));
  if (rows === undefined) return fused;
  const chosen = tf.expandDims(rows, -1);
  return tf.add(tf.mul(fused, chosen), tf.mul(weights, tf.sub(1, chosen)));
}
