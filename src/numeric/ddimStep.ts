/**
 * The mean of a DDIM step with everything that the affine form of `samplers/ddim.ts` cannot say: predictions of any kind and
 * clipping of the clean latent, which is not affine. For models whose scheduler clips (pixel-space DDPM and its kin).
 */
import * as tf from '@tensorflow/tfjs-core';
import {fromClean, toClean, type Prediction} from './prediction.js';
import {perRow} from './rows.js';

/** Inputs of {@link ddimStep}. */
export interface DdimStepInputs {
  /** `[B, …]` x_t. */
  readonly latent: tf.Tensor;
  /** `[B, …]` what the network said. */
  readonly output: tf.Tensor;
  /** `[B]` ᾱ_t in (0, 1). */
  readonly alpha: tf.Tensor;
  /** `[B]` ᾱ of the level that the step arrives at. */
  readonly nextAlpha: tf.Tensor;
  /** `[B]` standard deviation of the step, as `ddimTransition` computes it. */
  readonly std: tf.Tensor;
}

/** Options of {@link ddimStep}. */
export interface DdimStepOptions {
  /** What the network predicts. */
  readonly kind: Prediction;
  /** The clean latent is clipped to [−clipRange, clipRange]. Default: not at all. */
  readonly clipRange?: number;
  /** Whether the noise is computed again from the clipped clean latent (Ho et al. do); diffusers leaves it. Default false. */
  readonly recomputeNoise?: boolean;
}

/**
 * μ = √ᾱ'·x̂0 + √(1 − ᾱ' − std²)·ε̂, with x̂0 clipped.
 *
 * @source Song et al. 2021, "Denoising diffusion implicit models", eq. 12; clipping: diffusers `DDIMScheduler.step`.
 * @returns mean `[B, …]` and clean `[B, …]`.
 */
export function ddimStep(
  {latent, output, alpha, nextAlpha, std}: DdimStepInputs,
  {kind, clipRange, recomputeNoise = false}: DdimStepOptions,
): {mean: tf.Tensor; clean: tf.Tensor} {
  const point = {latent, alpha: tf.sqrt(alpha), sigma: tf.sqrt(tf.sub(1, alpha))};
  const predicted = toClean(kind, output, point);
  const clean = clipRange === undefined ? predicted : tf.clipByValue(predicted, -clipRange, clipRange);
  const noise = kind === 'noise' && !recomputeNoise ? output : fromClean('noise', recomputeNoise ? clean : predicted, point);
  const direction = tf.sqrt(tf.relu(tf.sub(tf.sub(1, nextAlpha), tf.square(std))));
  const mean = tf.add(tf.mul(perRow(tf.sqrt(nextAlpha), clean), clean), tf.mul(perRow(direction, noise), noise));
  return {mean, clean};
}
