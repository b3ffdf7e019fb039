/**
 * The pieces of Diffusion-DPO in its flow-matching form: a pair of samples, of which one was better, is noised alike, and the policy
 * is to lower its error on the better one by more than on the worse one, both measured from the reference's.
 *
 * @source Wallace et al. 2023, "Diffusion model alignment using direct preference optimization", arXiv:2311.12908, eq. 14; for flow
 * matching: Liu et al. 2025, "Improving video generation with human feedback", arXiv:2501.13918 (Flow-DPO).
 */
import * as tf from '@tensorflow/tfjs-core';
import {meanOfRows, perRow} from './rows.js';

/** Errors of the better and of the worse sample of each pair, `[n]` each. */
export interface PairErrors {
  readonly winner: tf.Tensor;
  readonly loser: tf.Tensor;
}

/**
 * Squared error of the velocity, mean over elements: with v = (x_t − x̂0)/t and the target (x_t − x0)/t it is mean (x̂0 − x0)²/t².
 *
 * @param predicted `[n, …]` x̂0.
 * @param clean `[n, …]` x0.
 * @param time `[n]` t in (0, 1].
 * @returns `[n]`, in squared units of the latent.
 */
export const velocityError = (predicted: tf.Tensor, clean: tf.Tensor, time: tf.Tensor): tf.Tensor =>
  meanOfRows(tf.square(tf.div(tf.sub(predicted, clean), perRow(time, clean))));

/**
 * What the policy thinks of a pair: the difference of the implicit rewards of its samples,
 * −β/2 · [(e_θ − e_ref) of the winner − (e_θ − e_ref) of the loser]. Above 0 it agrees that the winner is better.
 *
 * @param beta β, one number or `[n]`; per squared unit of the latent, errors being means over elements; > 0.
 * @returns `[n]`, no unit: the log-odds that it gives the winner.
 * @source the factor ½ and the means over elements: SalesforceAIResearch/DiffusionDPO `train.py`.
 */
export const implicitMargin = (policy: PairErrors, reference: PairErrors, beta: tf.Tensor | number): tf.Tensor =>
  tf.mul(
    tf.mul(beta, -0.5),
    // Differences of nearly equal numbers first: they are exact, the others would round them away.
    tf.sub(tf.sub(policy.winner, reference.winner), tf.sub(policy.loser, reference.loser)),
  );

/**
 * −log σ(margin) of each pair: the cross-entropy of the Bradley-Terry model with the observed order.
 *
 * @returns `[n]` in nats; log 2 where the policy is the reference.
 */
export const preferenceLoss = (margin: tf.Tensor): tf.Tensor => tf.softplus(tf.neg(margin));
