/** The terms that losses of clipped policy gradients share: what they report, and what holds the policy to its start. */
import * as tf from '@tensorflow/tfjs-core';
import type {LossSums, PolicyInGraph} from '../algorithm.js';
import {detach} from '../numeric/detach.js';
import {klDivergence} from '../numeric/gaussian.js';
import {meanOfRows} from '../numeric/rows.js';
import type {LogProbabilities} from '../numeric/surrogate.js';
import {replay} from '../numeric/transition.js';
import type {Branch} from '../tensor/tree.js';

/** Sums of `approxKl`, ½(logp − logp_old)², and of `ratioGap`, |logp − logp_old|, which the parity guard reads. */
export const logRatioSums = ({logProb, oldLogProb}: LogProbabilities): Record<'approxKl' | 'ratioGap', tf.Scalar> => ({
  approxKl: tf.mul(tf.sum(tf.squaredDifference(logProb, oldLogProb)), 0.5),
  ratioGap: tf.sum(tf.abs(tf.sub(logProb, oldLogProb))),
});

/** How many ratios lie outside [1 − c, 1 + c]: a scalar. */
export const outsideCount = (ratio: tf.Tensor, clipRange: tf.Tensor): tf.Scalar =>
  tf.sum(tf.cast(tf.greater(tf.abs(tf.sub(ratio, 1)), clipRange), 'float32'));

/**
 * Sum over a batch of steps of the divergence from the policy that training began with: exact, nats per element. The gradient
 * flows through the mean of the present policy alone.
 *
 * @param mean `[n, …]` of the present policy, from `replay`.
 */
export function referenceDivergence(policy: PolicyInGraph, batch: Branch<tf.Tensor>, mean: tf.Tensor): tf.Scalar {
  const {latent, next, a, b, std} = batch as Record<string, tf.Tensor>;
  const reference = detach(policy.predictReference(batch));
  const referenceMean = replay({latent, x0: reference, a, b, std, next}, policy.density).mean;
  return tf.sum<tf.Scalar>(klDivergence(mean, referenceMean, std));
}

/**
 * The anchor at last steps: κ · Σ weight · mean (x̂0 − x̂0 of the starting policy)². A last step has no density, so no reward
 * reaches it, and yet the weights that it shares with the others move it.
 */
export function anchorLoss(policy: PolicyInGraph, batch: Branch<tf.Tensor>, anchorCoefficient: number): LossSums {
  const drift = meanOfRows(tf.squaredDifference(policy.predict(batch), detach(policy.predictReference(batch))));
  const anchor = tf.sum<tf.Scalar>(tf.mul(drift, batch['weight'] as tf.Tensor));
  return {loss: tf.mul(anchor, anchorCoefficient), metrics: {anchor}};
}
