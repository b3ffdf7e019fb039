/** One Adam update of a network that is one vector: clipping, then weight decay as a term of the gradient. */
import * as tf from '@tensorflow/tfjs-core';
import type {AdamWOptions} from '../../numeric/optim/adamw.js';
import {zeros, type NdArray} from '../../tensor/ndarray.js';
import type {Branch, Params} from '../../tensor/tree.js';

/** Constants of an update. */
export interface AdamUpdateOptions {
  /** Share of a parameter that is added to its gradient, as torch's Adam has it; ≥ 0. */
  readonly weightDecay: number;
  /** Largest norm of a gradient; > 0. */
  readonly maxGradientNorm: number;
}

/** β₁, β₂ and ε; the corrections of an update are made of them. */
export const ADAM: AdamWOptions = {beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0};

/** A network under training before its first update: its parameters as one vector, and the moments. */
export const adamState = (params: NdArray<'float32'>): Params => ({
  params,
  first: zeros('float32', params.shape),
  second: zeros('float32', params.shape),
});

/**
 * One update: the numbers of `adamw` and `clipByGlobalNorm`.
 *
 * @param state `params`, `first`, `second`, each `[n]`.
 * @param loss of the parameters, a scalar, and what else is to be reported about it.
 * @param step scalars.
 * @returns the state after it; `loss`, the loss's metrics, and `gradientNorm`, which is that before clipping.
 */
export function adamUpdate(
  state: Branch<tf.Tensor>,
  loss: (params: tf.Tensor) => {readonly loss: tf.Tensor; readonly metrics: Readonly<Record<string, tf.Tensor>>},
  step: {readonly learningRate: tf.Tensor; readonly correction1: tf.Tensor; readonly correction2: tf.Tensor},
  {weightDecay, maxGradientNorm}: AdamUpdateOptions,
): {state: Branch<tf.Tensor>; metrics: Record<string, tf.Tensor>} {
  const {params, first, second} = state as Record<string, tf.Tensor>;
  let metrics: Readonly<Record<string, tf.Tensor>> = {};
  const {value, grad} = tf.valueAndGrad((p: tf.Tensor) => {
    const found = loss(p);
    // tfjs frees what is made in here, and these are wanted outside.
    for (const metric of Object.values(found.metrics)) tf.keep(metric);
    metrics = found.metrics;
    return found.loss;
  })(params);
  // Clipping and the corrections are folded into scalars, which spares four passes over the vectors:
  // η·(m/c₁)/(√(v/c₂) + ε) = (η·√c₂/c₁)·m/(√v + ε·√c₂).
  const squares = tf.square(grad);
  const norm = tf.sqrt(tf.sum(squares));
  const clip = tf.minimum(tf.div(maxGradientNorm, tf.add(norm, 1e-6)), 1);
  const decayed = weightDecay === 0 ? undefined : tf.add(tf.mul(grad, clip), tf.mul(params, weightDecay));
  const m = tf.add(
    tf.mul(first, ADAM.beta1),
    decayed ? tf.mul(decayed, 1 - ADAM.beta1) : tf.mul(grad, tf.mul(clip, 1 - ADAM.beta1)),
  );
  const v = tf.add(
    tf.mul(second, ADAM.beta2),
    decayed ? tf.mul(tf.square(decayed), 1 - ADAM.beta2) : tf.mul(squares, tf.mul(tf.square(clip), 1 - ADAM.beta2)),
  );
  const root = tf.sqrt(step.correction2);
  const size = tf.div(tf.mul(step.learningRate, root), step.correction1);
  const next = tf.sub(params, tf.div(tf.mul(m, size), tf.add(tf.sqrt(v), tf.mul(root, ADAM.epsilon))));
  return {state: {params: next, first: m, second: v}, metrics: {...metrics, loss: value, gradientNorm: norm}};
}
