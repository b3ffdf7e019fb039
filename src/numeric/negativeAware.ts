/**
 * The pieces of DiffusionNFT: reinforcement learning on the forward process, without log-probabilities. A finished sample is
 * noised again; the policy learns towards it as far as it was good, and away from it as far as it was not.
 *
 * Everything is told in clean latents. With v = (x_t − x̂0)/t the implicit velocities v⁺ = (1 − β)·v_old + β·v_θ and
 * v⁻ = (1 + β)·v_old − β·v_θ of the paper are the same mixtures of the predicted clean latents.
 *
 * @source Zheng et al. 2025, "DiffusionNFT: online diffusion reinforcement with forward process", arXiv:2509.16117, §3.2;
 * weights, clipping and schedules: its code, NVlabs/DiffusionNFT.
 */
import * as tf from '@tensorflow/tfjs-core';
import {detach} from './detach.js';
import {meanOfRows} from './rows.js';

/** Which advantages teach. */
export const feedbackNames = ['both', 'positive', 'negative', 'ones', 'signs'] as const;
/** One of them. */
export type Feedback = (typeof feedbackNames)[number];

/** How the old policy follows the trained one. */
export const oldPolicyNames = ['current', 'lagging', 'slowing', 'frozen'] as const;
/** One of them. */
export type OldPolicy = (typeof oldPolicyNames)[number];

/** Errors below this weigh no more than it. */
const MINIMUM_ERROR = 1e-5;

/**
 * How likely a sample is to be called good, r = ½ + A/(2·limit) with A clamped to ± limit: in [0, 1], ½ for the average sample.
 *
 * @param limit > 0, in the unit of the advantages.
 * @param feedback `both` (default): all advantages as they are; `positive`, `negative`: those of the other sign count as 0;
 * `ones`: 1 for the positive ones, 0 for the others; `signs`: their signs. The code's `adv_mode` has them as null,
 * `positive_only`, `negative_only`, `one_only` and `binary`.
 */
export function optimality(advantages: ArrayLike<number>, limit: number, feedback: Feedback = 'both'): Float64Array {
  const taught = (a: number): number => {
    switch (feedback) {
      case 'both':
        return a;
      case 'positive':
        return Math.max(a, 0);
      case 'negative':
        return Math.min(a, 0);
      case 'ones':
        return a > 0 ? 1 : 0;
      case 'signs':
        return Math.sign(a);
    }
  };
  return Float64Array.from(advantages, (a) => {
    const limited = Math.min(limit, Math.max(-limit, a));
    return Math.min(1, Math.max(0, taught(limited) / limit / 2 + 0.5));
  });
}

/** The two predictions of a clean latent that are compared, and what they are compared with. */
export interface NegativeAwareInputs {
  /** `[B, …]` of the trained policy; gradients flow through it alone. */
  readonly predicted: tf.Tensor;
  /** `[B, …]` of the old policy. */
  readonly old: tf.Tensor;
  /** `[B, …]` the sample that was noised. */
  readonly clean: tf.Tensor;
  /** `[B]` r in [0, 1]. */
  readonly optimality: tf.Tensor;
}

/** Mean square of a prediction's error in units of its own mean absolute error, which is held fixed: `[B]`. */
function weightedError(prediction: tf.Tensor, clean: tf.Tensor): tf.Tensor {
  const error = tf.sub(prediction, clean);
  const weight = tf.maximum(detach(meanOfRows(tf.abs(error))), MINIMUM_ERROR);
  return tf.div(meanOfRows(tf.square(error)), weight);
}

/**
 * r·ℓ(x̂0⁺) + (1 − r)·ℓ(x̂0⁻), all divided by β, with x̂0⁺ = (1 − β)·old + β·predicted and x̂0⁻ = (1 + β)·old − β·predicted, and
 * ℓ the squared error in units of the mean absolute error.
 *
 * Where both policies predict the same, both errors do too, and the gradient is (2r − 1)·∇ℓ whatever β is.
 *
 * @param beta β > 0: the smaller it is, the farther the policy goes for the same rewards.
 * @returns `[B]`, in units of the latent. The code multiplies it by the clipping limit of the advantages, as `algorithms/nft.ts`
 * does.
 * @source Zheng et al. 2025, eq. 5; the weight: its code.
 * @deviation The weight is computed in float32; the code does so in float64.
 */
export function negativeAwareLoss({predicted, old, clean, optimality: r}: NegativeAwareInputs, beta: number): tf.Tensor {
  const base = detach(old);
  const moved = tf.mul(predicted, beta);
  const positive = weightedError(tf.add(tf.mul(base, 1 - beta), moved), clean);
  const negative = weightedError(tf.sub(tf.mul(base, 1 + beta), moved), clean);
  return tf.div(tf.add(tf.mul(r, positive), tf.mul(tf.sub(1, r), negative)), beta);
}

/**
 * Decay of the old policy after so many updates: `current`: 0, the old policy is the trained one again; `lagging`: .001 an update,
 * at most .5; `slowing`: 0 for 75 updates, then .0075 an update, at most .999; `frozen`: 1, it never moves (offline).
 *
 * @param updates done in all, ≥ 0.
 * @source Zheng et al. 2025; NVlabs/DiffusionNFT `return_decay`, types 0, 1 and 2; it has no `frozen`.
 */
export function oldPolicyDecay(schedule: OldPolicy, updates: number): number {
  switch (schedule) {
    case 'current':
      return 0;
    case 'lagging':
      return Math.min(0.5, 0.001 * updates);
    case 'slowing':
      return Math.min(0.999, 0.0075 * Math.max(0, updates - 75));
    case 'frozen':
      return 1;
  }
}
