/**
 * Objectives that look at how far the mean of a step has drifted from the mean it was taken with: both need the old mean, which the
 * noise of the step gives back.
 */
import * as tf from '@tensorflow/tfjs-core';
import {klDivergence, isNoisy} from './gaussian.js';
import {meanOfRows, perRow} from './rows.js';
import {importanceRatio, type LogProbabilities} from './surrogate.js';

/**
 * The mean that a step was taken with: x' − std·z.
 *
 * @param next `[B, …]` the point that was reached.
 * @param noise `[B, …]` what was drawn for it.
 * @param std `[B]`.
 */
export const actingMean = (next: tf.Tensor, noise: tf.Tensor, std: tf.Tensor): tf.Tensor =>
  tf.sub(next, tf.mul(perRow(std, noise), noise));

/** A step and its mean under the present policy and under the one that acted. */
export interface DriftedStep {
  /** `[B, …]` the point that was reached. */
  readonly next: tf.Tensor;
  /** `[B, …]` under the policy being trained. */
  readonly mean: tf.Tensor;
  /** `[B, …]` under the policy that acted. */
  readonly oldMean: tf.Tensor;
  /** `[B]` ≥ 0. */
  readonly std: tf.Tensor;
}

/**
 * The log-ratio of GRPO-Guard: (logp − logp_old + mean (μ − μ_old)²/2std²)·std = mean (x' − μ_old)·(μ − μ_old)/std. Without the
 * drift term its mean over the noise is 0 and not below, so that clipping acts on both sides alike; multiplied by std it has the
 * same deviation at every step.
 *
 * @returns `[B]`, latent units; 0 for rows with std 0.
 * @source Wang et al. 2025, "GRPO-Guard", arXiv:2510.22319; verl-omni `GRPOGuardLoss`.
 * @deviation flow_grpo averages drift and std over the batch as well; here, as in verl-omni, each step has its own.
 */
export function guardedLogRatio({next, mean, oldMean, std}: DriftedStep): tf.Tensor {
  const noisy = isNoisy(std);
  const product = meanOfRows(tf.mul(tf.sub(next, oldMean), tf.sub(mean, oldMean)));
  return tf.div(tf.mul(noisy, product), tf.add(std, tf.sub(1, noisy)));
}

/** Divergence of the present step from the one that was taken: (μ − μ_old)²/2std², mean over elements, `[B]` in nats. */
export const driftDivergence = ({mean, oldMean, std}: DriftedStep): tf.Tensor => klDivergence(mean, oldMean, std);

/**
 * The masked policy gradient as a loss to be minimised: −A·ρ, and 0 without gradient where the step has drifted by `threshold` or
 * more and would drift further: ρ > 1 with A > 0, or ρ < 1 with A < 0. The ratio is not clipped.
 *
 * @param logs log-probabilities `[B]`.
 * @param advantage `[B]`, or `[B, K]` for K losses at once.
 * @param divergence `[B]` from `driftDivergence`.
 * @param threshold scalar τ > 0, nats an element.
 * @returns the losses, and the mask that kept them (1) or not (0), both of the advantage's shape.
 * @source Flow-DPPO, arXiv:2606.11025; UniRL `flowdppo.py`, verl-omni `FlowDPPOLoss`.
 */
export function maskedSurrogate(
  logs: LogProbabilities,
  advantage: tf.Tensor,
  divergence: tf.Tensor,
  threshold: tf.Tensor,
): {loss: tf.Tensor; kept: tf.Tensor} {
  const column = (x: tf.Tensor): tf.Tensor => perRow(x, advantage);
  const ratio = column(importanceRatio(logs));
  const further = tf.greater(tf.mul(tf.sub(ratio, 1), advantage), 0);
  const far = tf.greaterEqual(column(divergence), threshold);
  const kept = tf.sub(1, tf.mul(tf.cast(further, 'float32'), tf.cast(far, 'float32')));
  return {loss: tf.mul(tf.neg(tf.mul(advantage, ratio)), kept), kept};
}
