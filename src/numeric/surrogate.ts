/**
 * Importance-weighted policy-gradient losses on `[B]` rows of log-probabilities, one row for each (sample, step).
 *
 * Log-probabilities are means over latent elements, so ratios are very near 1 and `clipRange` is 1e-5 to 1e-3. Rows of
 * deterministic steps have log-probability 0 under any policy: their ratio is 1 and they move nothing.
 */
import * as tf from '@tensorflow/tfjs-core';
import {perRow} from './rows.js';

/** Log-probabilities of the same rows under two policies, `[B]` in nats. */
export interface LogProbabilities {
  /** Under the policy being trained. */
  readonly logProb: tf.Tensor;
  /** Under the policy that acted. */
  readonly oldLogProb: tf.Tensor;
}

/** ρ = exp(logp − logp_old), `[B]`. */
export const importanceRatio = ({logProb, oldLogProb}: LogProbabilities): tf.Tensor => tf.exp(tf.sub(logProb, oldLogProb));

/**
 * The clipped surrogate as a loss to be minimised: max(−A·ρ, −A·clamp(ρ, 1 − c, 1 + c)), row by row.
 *
 * At ρ = 1, where every first update stands, the branches are equal and each has the gradient −A: whichever of them a tie is
 * given to, none of it is lost.
 *
 * @param logs log-probabilities `[B]`.
 * @param advantage `[B]`, already limited; or `[B, K]` for K losses at once.
 * @param clipRange scalar c > 0.
 * @returns the losses, of the advantage's shape.
 * @source Schulman et al. 2017, "Proximal policy optimization algorithms", eq. 7.
 */
export function clippedSurrogate(logs: LogProbabilities, advantage: tf.Tensor, clipRange: tf.Tensor): tf.Tensor {
  const ratio = perRow(importanceRatio(logs), advantage);
  const gain = tf.neg(advantage);
  const limited = tf.maximum(tf.minimum(ratio, tf.add(1, clipRange)), tf.sub(1, clipRange));
  return tf.maximum(tf.mul(gain, ratio), tf.mul(gain, limited));
}

/**
 * Half the mean square of the log-ratio: the second-order estimate of the KL divergence between acting and present policy, as
 * every published trainer logs it.
 *
 * @returns scalar, nats per element.
 */
export const approxKl = ({logProb, oldLogProb}: LogProbabilities): tf.Tensor =>
  tf.mul(tf.mean(tf.squaredDifference(logProb, oldLogProb)), 0.5);

/** Share of rows whose ratio is outside [1 − c, 1 + c]: scalar in [0, 1]. */
export const clipFraction = (logs: LogProbabilities, clipRange: tf.Tensor): tf.Tensor =>
  tf.mean(tf.cast(tf.greater(tf.abs(tf.sub(importanceRatio(logs), 1)), clipRange), 'float32'));

/**
 * Estimators of KL(old ‖ new) for rows drawn from the old policy, `[B]`, with l = logp − logp_old: `k1` = −l, unbiased and
 * noisy; `k2` = l²/2, biased, steady; `k3` = (e^l − 1) − l, unbiased, steady and never negative.
 *
 * @source Schulman 2020, "Approximating KL divergence", http://joschu.net/blog/kl-approx.html.
 */
export function klEstimate(kind: 'k1' | 'k2' | 'k3', {logProb, oldLogProb}: LogProbabilities): tf.Tensor {
  const logRatio = tf.sub(logProb, oldLogProb);
  switch (kind) {
    case 'k1':
      return tf.neg(logRatio);
    case 'k2':
      return tf.mul(tf.square(logRatio), 0.5);
    case 'k3':
      // Not exp(l) − 1: log-ratios near 1e-4 would lose all their digits in float32.
      return tf.sub(tf.expm1(logRatio), logRatio);
  }
}
