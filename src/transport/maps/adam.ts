/** One Adam update of a network that is one vector: clipping, then weight decay as a term of the gradient. */
import * as tf from '@tensorflow/tfjs-core';
import {adamw, type AdamWOptions} from '../../numeric/optim/adamw.js';
import {clipByGlobalNorm} from '../../numeric/optim/clip.js';
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
 * One update.
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
  const {gradients, norm} = clipByGlobalNorm([grad], tf.scalar(maxGradientNorm));
  const gradient = weightDecay === 0 ? gradients[0] : tf.add(gradients[0], tf.mul(params, weightDecay));
  const next = adamw(params, gradient, {first, second}, step, ADAM);
  return {state: {params: next.params, ...next.state}, metrics: {...metrics, loss: value, gradientNorm: norm}};
}
