/** The forward process of flow models: clean latents made noisy. */
import * as tf from '@tensorflow/tfjs-core';
import {perRow} from './rows.js';

/**
 * x_t = (1 − t)·x0 + t·ε.
 *
 * @param clean `[B, …]` x0.
 * @param noise `[B, …]` ε, standard normal.
 * @param time `[B]` t in [0, 1].
 * @returns `[B, …]`.
 * @source Lipman et al. 2023, "Flow matching for generative modeling", arXiv:2210.02747, the optimal-transport path with σ_min = 0 and
 * time reversed.
 */
export function addNoise(clean: tf.Tensor, noise: tf.Tensor, time: tf.Tensor): tf.Tensor {
  const t = perRow(time, clean);
  return tf.add(tf.mul(clean, tf.sub(1, t)), tf.mul(noise, t));
}
