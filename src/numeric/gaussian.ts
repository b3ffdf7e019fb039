/**
 * Densities of a denoising step, a diagonal normal with one standard deviation per sample.
 *
 * Everything is the **mean** over the latent's elements, in nats, as in all published policy-gradient trainers of diffusion
 * models: an importance ratio stays near 1 and clip ranges are 1e-5 to 1e-3. A sum would differ by the number of elements.
 *
 * A sample with std 0 took a deterministic step. It has no density: its log-probability, its divergence and their gradients
 * are 0.
 */
import * as tf from '@tensorflow/tfjs-core';
import {meanOfRows} from './rows.js';

const HALF_LOG_TWO_PI = 0.5 * Math.log(2 * Math.PI);

/** 1 for samples that took a noisy step and 0 for the others: `[B]` → `[B]`. */
export const isNoisy = (std: tf.Tensor): tf.Tensor => tf.cast(tf.greater(std, 0), 'float32');

/** std where it is positive and 1 elsewhere: safe to divide by. */
const divisor = (std: tf.Tensor, noisy: tf.Tensor): tf.Tensor => tf.add(std, tf.sub(1, noisy));

/**
 * Log-density of a step: mean of −(x' − μ)²/2std² − ln std − ½ ln 2π.
 *
 * @param next `[B, …]` the point x' that was reached.
 * @param mean `[B, …]` μ; gradients of every algorithm flow through it alone.
 * @param std `[B]` ≥ 0.
 * @returns `[B]`, nats per element.
 */
export function logProbability(next: tf.Tensor, mean: tf.Tensor, std: tf.Tensor): tf.Tensor {
  const noisy = isNoisy(std);
  const scale = divisor(std, noisy);
  const quadratic = tf.div(meanOfRows(tf.squaredDifference(next, mean)), tf.mul(tf.square(scale), -2));
  return tf.mul(noisy, tf.sub(quadratic, tf.add(tf.log(scale), HALF_LOG_TWO_PI)));
}

/**
 * What CPS trains on in place of a log-density: mean of −(x' − μ)², with no variance and no constants, which weighs all steps
 * alike. A ratio of it is not a ratio of densities.
 *
 * @source Wang & Yu 2025, "Coefficients-preserving sampling"; flow_grpo `sde_step_with_logprob`, type `cps`.
 * @returns `[B]`.
 */
export const cpsLogProbability = (next: tf.Tensor, mean: tf.Tensor): tf.Tensor =>
  tf.neg(meanOfRows(tf.squaredDifference(next, mean)));

/**
 * KL divergence of two steps with the same standard deviation: mean of (μ − μ_ref)²/2std², exact, and the same in either
 * direction.
 *
 * @param mean `[B, …]`.
 * @param referenceMean `[B, …]`.
 * @param std `[B]` ≥ 0, of the whole step. Flow-GRPO's SD3 script divides by the diffusion coefficient s = std/√(σ − σ')
 * instead, which makes its KL smaller by the factor σ − σ'.
 * @returns `[B]`, nats per element.
 */
export function klDivergence(mean: tf.Tensor, referenceMean: tf.Tensor, std: tf.Tensor): tf.Tensor {
  const noisy = isNoisy(std);
  const variance = tf.square(divisor(std, noisy));
  return tf.mul(noisy, tf.div(meanOfRows(tf.squaredDifference(mean, referenceMean)), tf.mul(variance, 2)));
}
