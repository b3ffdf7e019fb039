/** Exponential moving average of parameters. */
import * as tf from '@tensorflow/tfjs-core';

/** average ← d·average + (1−d)·params, with d a scalar tensor. */
export const ema = (average: tf.Tensor, params: tf.Tensor, decay: tf.Tensor): tf.Tensor =>
  tf.add(params, tf.mul(tf.sub(average, params), decay));

/**
 * Decay at update `n` (0 for the first): min((1+n)/(10+n), limit), so that the average forgets its start quickly.
 *
 * @source Flow-GRPO's EMA wrapper; TensorFlow's ExponentialMovingAverage(num_updates).
 */
export const emaDecayAt = (n: number, limit: number): number => Math.min((1 + n) / (10 + n), limit);
