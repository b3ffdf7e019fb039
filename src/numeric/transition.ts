/**
 * Taking and replaying one denoising step, for every sampler: the coefficients of its table (`samplers/sampler.ts`) come as
 * `[B]` tensors, so one compiled graph serves all steps and all samplers, and a batch may mix steps.
 */
import * as tf from '@tensorflow/tfjs-core';
import {detach} from './detach.js';
import {cpsLogProbability, isNoisy, logProbability} from './gaussian.js';
import {perRow} from './rows.js';

/** How a step is scored: its normal density, or the squared error that CPS uses. */
export type Density = 'gaussian' | 'cps';

/** The state of a step and the coefficients of its sampler. */
export interface TransitionInputs {
  /** `[B, …]` current latent. */
  readonly latent: tf.Tensor;
  /** `[B, …]` clean latent predicted from it. */
  readonly x0: tf.Tensor;
  /** `[B]` weight of the latent in the mean. */
  readonly a: tf.Tensor;
  /** `[B]` weight of the predicted clean latent. */
  readonly b: tf.Tensor;
  /** `[B]` standard deviation; 0 = deterministic. */
  readonly std: tf.Tensor;
}

/** Mean of a step: a·latent + b·x0. */
export const meanOf = ({latent, x0, a, b}: Omit<TransitionInputs, 'std'>): tf.Tensor =>
  tf.add(tf.mul(perRow(a, latent), latent), tf.mul(perRow(b, x0), x0));

// The point reached is a sample, not a function of the parameters: gradients flow through the mean alone.
const score = (next: tf.Tensor, mean: tf.Tensor, std: tf.Tensor, density: Density): tf.Tensor =>
  density === 'gaussian' ? logProbability(detach(next), mean, std) : tf.mul(isNoisy(std), cpsLogProbability(detach(next), mean));

/**
 * Takes a step: next = a·latent + b·x0 + std·noise.
 *
 * @param inputs with `noise` `[B, …]` standard normal; rows with std 0 ignore it.
 * @returns next `[B, …]`, which is differentiable, and its log-probability `[B]`, which treats it as given; 0 for rows with
 * std 0.
 */
export function step(
  inputs: TransitionInputs & {readonly noise: tf.Tensor},
  density: Density = 'gaussian',
): {next: tf.Tensor; logProb: tf.Tensor} {
  const mean = meanOf(inputs);
  const next = tf.add(mean, tf.mul(perRow(inputs.std, inputs.noise), inputs.noise));
  return {next, logProb: score(next, mean, inputs.std, density)};
}

/**
 * Scores a step that was taken before, under the prediction of the present parameters.
 *
 * @param inputs with `next` `[B, …]`, the point that was reached, exactly as it was scored when it was sampled.
 * @returns log-probability `[B]` (0 and without gradient for rows with std 0) and mean `[B, …]`.
 */
export function replay(
  inputs: TransitionInputs & {readonly next: tf.Tensor},
  density: Density = 'gaussian',
): {logProb: tf.Tensor; mean: tf.Tensor} {
  const mean = meanOf(inputs);
  return {logProb: score(inputs.next, mean, inputs.std, density), mean};
}
