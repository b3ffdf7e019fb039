/** The distributional reward of PISCES: how well a video fits its caption, once the caption has been carried to where videos are. */
import * as tf from '@tensorflow/tfjs-core';

const unit = (x: tf.Tensor): tf.Tensor => tf.div(x, tf.maximum(tf.sqrt(tf.sum(tf.square(x), -1, true)), 1e-12));

/**
 * cos(T(y/|y|), x), differentiable in the video.
 *
 * @param map T, on `[B, E]`.
 * @param text y `[B, E]`. @param video x `[B, E]`, or `[B, V, E]`: the mean over V tokens then.
 * @returns `[B]` in [-1, 1].
 * @source PISCES, arXiv:2602.01624, §3.2; released `get_sim_OT`, of which this is the diagonal.
 */
export function mappedSimilarity(map: (text: tf.Tensor) => tf.Tensor, text: tf.Tensor, video: tf.Tensor): tf.Tensor {
  const mapped = unit(map(unit(text)));
  if (video.rank === 2) return tf.sum(tf.mul(mapped, unit(video)), -1);
  return tf.mean(tf.sum(tf.mul(tf.expandDims(mapped, 1), unit(video)), -1), -1);
}
