/** The forward process of flow models: clean latents made noisy. */
import * as tf from '@tensorflow/tfjs-core';
import {perRow} from './rows.js';

/** Times below this weigh no more than it: 1/t² would let nearly clean latents drown the rest. */
const MINIMUM_TIME = 0.2;

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

/**
 * The error of flow matching with a predicted clean latent, element by element: ((x̂0 − x0)/max(t, .2))².
 *
 * @param predicted `[B, …]` x̂0.
 * @param clean `[B, …]` x0.
 * @param time `[B]` t in [0, 1].
 * @returns `[B, …]`, in squared units of the latent.
 * @source Lipman et al. 2023, arXiv:2210.02747; the least time is the project's own (docs/world.md).
 */
export const flowMatchingError = (predicted: tf.Tensor, clean: tf.Tensor, time: tf.Tensor): tf.Tensor =>
  tf.square(tf.div(tf.sub(predicted, clean), tf.maximum(perRow(time, clean), MINIMUM_TIME)));
