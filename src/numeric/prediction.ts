/**
 * What denoising networks predict, and the exact change of variables between them. A noisy latent is x = α·x0 + σ·ε: flow
 * models have α = 1 − t and σ = t, variance-preserving ones α = √ᾱ and σ = √(1 − ᾱ).
 */
import * as tf from '@tensorflow/tfjs-core';
import {perRow} from './rows.js';

/** `clean`: x0; `noise`: ε; `flow`: ε − x0 (velocity of flow models); `velocity`: α·ε − σ·x0 (v-prediction). */
export type Prediction = 'clean' | 'noise' | 'flow' | 'velocity';

/** Where a prediction was made. */
export interface NoisyPoint {
  /** `[B, …]` x. */
  readonly latent: tf.Tensor;
  /** `[B]` α. */
  readonly alpha: tf.Tensor;
  /** `[B]` σ. */
  readonly sigma: tf.Tensor;
}

/**
 * The clean latent that a prediction stands for. `noise` needs α > 0 and loses precision as α falls.
 *
 * @source `velocity`: Salimans & Ho 2022, "Progressive distillation", appendix D.
 * @returns `[B, …]` x̂0.
 */
export function toClean(kind: Prediction, output: tf.Tensor, {latent, alpha, sigma}: NoisyPoint): tf.Tensor {
  const a = perRow(alpha, latent);
  const s = perRow(sigma, latent);
  switch (kind) {
    case 'clean':
      return output;
    case 'noise':
      return tf.div(tf.sub(latent, tf.mul(s, output)), a);
    case 'flow':
      return tf.div(tf.sub(latent, tf.mul(s, output)), tf.add(a, s));
    case 'velocity':
      return tf.div(tf.sub(tf.mul(a, latent), tf.mul(s, output)), tf.add(tf.square(a), tf.square(s)));
  }
}

/**
 * The prediction of a given kind that stands for a clean latent; needs σ > 0 unless the kind is `clean`.
 *
 * @returns `[B, …]`.
 */
export function fromClean(kind: Prediction, clean: tf.Tensor, {latent, alpha, sigma}: NoisyPoint): tf.Tensor {
  if (kind === 'clean') return clean;
  const a = perRow(alpha, latent);
  const s = perRow(sigma, latent);
  const noise = tf.div(tf.sub(latent, tf.mul(a, clean)), s);
  switch (kind) {
    case 'noise':
      return noise;
    case 'flow':
      return tf.sub(noise, clean);
    case 'velocity':
      return tf.sub(tf.mul(a, noise), tf.mul(s, clean));
  }
}
