/** What the policy predicts at a step of any sampler, with guidance where it is asked for. */
import * as tf from '@tensorflow/tfjs-core';
import type {Policy} from '../environment.js';
import {perRow} from '../numeric/rows.js';
import type {Branch} from '../tensor/tree.js';

/** One step's inputs: `latent [B, …]`, `time` and `scale [B]`, `text [B, L, D]`. */
export interface PredictInputs {
  readonly latent: tf.Tensor;
  readonly time: tf.Tensor;
  readonly scale: tf.Tensor;
  readonly text: tf.Tensor;
}

/**
 * The predicted clean latent: x̂0 = x̂0(∅) + w·(x̂0(text) − x̂0(∅)), or x̂0(text) alone at w = 1.
 *
 * @source Ho & Salimans 2022, classifier-free guidance, arXiv:2207.12598, with w = 1 meaning none.
 */
export function predict(policy: Policy, params: Branch<tf.Tensor>, inputs: PredictInputs, guidanceScale: number): tf.Tensor {
  const latent = tf.mul(inputs.latent, perRow(inputs.scale, inputs.latent));
  const shown = policy.denoise(params, latent, inputs.time, inputs.text);
  if (guidanceScale === 1) return shown;
  const blank = policy.denoise(params, latent, inputs.time, policy.encodeNull(params, latent.shape[0]));
  return tf.add(blank, tf.mul(tf.sub(shown, blank), guidanceScale));
}
