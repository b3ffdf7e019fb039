/** Per-sample numbers beside batches of tensors: coefficients in, means out. */
import * as tf from '@tensorflow/tfjs-core';

/** `[B]` as `[B, 1, …, 1]`, so that row i multiplies sample i of `like [B, …]`. */
export const perRow = (values: tf.Tensor, like: tf.Tensor): tf.Tensor =>
  tf.reshape(values, [values.size, ...like.shape.slice(1).fill(1)]);

/** Mean over all dimensions but the first: `[B, …]` → `[B]`. */
export const meanOfRows = (x: tf.Tensor): tf.Tensor => tf.mean(tf.reshape(x, [x.shape[0], x.size / x.shape[0]]), 1);
