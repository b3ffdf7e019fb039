/** Adam with decoupled weight decay, on one tensor; a packed vector makes it one update for a whole network. */
import * as tf from '@tensorflow/tfjs-core';

/** Constants of the rule. */
export interface AdamWOptions {
  /** Decay of the first moment. */
  readonly beta1: number;
  /** Decay of the second moment. */
  readonly beta2: number;
  /** Added to the root of the second moment. */
  readonly epsilon: number;
  /** Share of the parameter taken off at each update, times the learning rate. */
  readonly weightDecay: number;
}

/** What changes from update to update: scalars, so that they are inputs of the graph. */
export interface AdamWStep {
  readonly learningRate: tf.Tensor;
  /** 1 − β₁ⁿ at update n = 1, 2, … */
  readonly correction1: tf.Tensor;
  /** 1 − β₂ⁿ. */
  readonly correction2: tf.Tensor;
}

/** First and second moment, of the parameter's shape. */
export interface AdamWState {
  readonly first: tf.Tensor;
  readonly second: tf.Tensor;
}

/**
 * One update.
 *
 *   m ← β₁m + (1−β₁)g,  v ← β₂v + (1−β₂)g²,  θ ← (1 − η·λ)θ − η·(m/c₁) / (√(v/c₂) + ε)
 *
 * @source Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2, with torch's placing of ε.
 */
export function adamw(
  params: tf.Tensor,
  gradient: tf.Tensor,
  state: AdamWState,
  step: AdamWStep,
  options: AdamWOptions,
): {params: tf.Tensor; state: AdamWState} {
  const {beta1, beta2, epsilon, weightDecay} = options;
  const first = tf.add(tf.mul(state.first, beta1), tf.mul(gradient, 1 - beta1));
  const second = tf.add(tf.mul(state.second, beta2), tf.mul(tf.square(gradient), 1 - beta2));
  const root = tf.add(tf.sqrt(tf.div(second, step.correction2)), epsilon);
  const moved = tf.div(tf.mul(first, tf.div(step.learningRate, step.correction1)), root);
  const kept = weightDecay === 0 ? params : tf.mul(params, tf.sub(1, tf.mul(step.learningRate, weightDecay)));
  return {params: tf.sub(kept, moved), state: {first, second}};
}

/** The corrections at update `n` (1 for the first), in float64. */
export const adamCorrections = (n: number, {beta1, beta2}: AdamWOptions): {correction1: number; correction2: number} => ({
  correction1: 1 - beta1 ** n,
  correction2: 1 - beta2 ** n,
});
