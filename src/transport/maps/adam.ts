/** Adam updates of a network that is one vector: clipping, then weight decay as a term of the gradient. */
import * as tf from '@tensorflow/tfjs-core';
import type {AdamWOptions, AdamWStep} from '../../numeric/optim/adamw.js';
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

/** A loss, and what else is reported about it. */
export interface Loss {
  readonly loss: tf.Tensor;
  readonly metrics: Readonly<Record<string, tf.Tensor>>;
}

/**
 * Between two updates of a row: m = u·first and v = w·second. The units u and w are chosen so that the gradient comes to the
 * moments as it is, which spares a pass over the vectors for each; they are numbers.
 */
interface Moving {
  readonly params: tf.Tensor;
  readonly first: tf.Tensor;
  readonly second: tf.Tensor;
  readonly firstUnit: tf.Tensor;
  readonly secondUnit: tf.Tensor;
}

/** One update; `metrics` are the loss, its metrics, and the gradient's norm before clipping. */
function moved(
  {params, first, second, firstUnit, secondUnit}: Moving,
  loss: (params: tf.Tensor) => Loss,
  step: AdamWStep,
  {weightDecay, maxGradientNorm}: AdamUpdateOptions,
): {state: Moving; metrics: Record<string, tf.Tensor>} {
  const {beta1, beta2, epsilon} = ADAM;
  let metrics: Readonly<Record<string, tf.Tensor>> = {};
  const {value, grad} = tf.valueAndGrad((p: tf.Tensor) => {
    const found = loss(p);
    // tfjs frees what is made in here, and these are wanted outside.
    for (const metric of Object.values(found.metrics)) tf.keep(metric);
    metrics = found.metrics;
    return found.loss;
  })(params);
  const squares = tf.square(grad);
  const norm = tf.sqrt(tf.sum(squares));
  const clip = tf.minimum(tf.div(maxGradientNorm, tf.add(norm, 1e-6)), 1);
  /** The gradient and its squares, in units of `scale` and its square. */
  const taken =
    weightDecay === 0 ? {grad, squares, scale: clip} : unscaled(tf.add(tf.mul(params, weightDecay), tf.mul(grad, clip)));
  const [u, w] = [tf.mul(taken.scale, 1 - beta1), tf.mul(tf.square(taken.scale), 1 - beta2)];
  const m = tf.add(tf.mul(first, tf.mul(tf.div(firstUnit, u), beta1)), taken.grad);
  const v = tf.add(tf.mul(second, tf.mul(tf.div(secondUnit, w), beta2)), taken.squares);
  // η·(u·m/c₁)/(√(w·v/c₂) + ε) = (η·√c₂/c₁·u/√w)·m/(√v + ε·√(c₂/w)).
  const [root, unit] = [tf.sqrt(step.correction2), tf.sqrt(w)];
  const size = tf.div(tf.mul(tf.mul(step.learningRate, root), u), tf.mul(step.correction1, unit));
  const direction = tf.div(m, tf.add(tf.sqrt(v), tf.div(tf.mul(root, epsilon), unit)));
  return {
    state: {params: tf.sub(params, tf.mul(direction, size)), first: m, second: v, firstUnit: u, secondUnit: w},
    metrics: {...metrics, loss: value, gradientNorm: norm},
  };
}

const unscaled = (grad: tf.Tensor) => ({grad, squares: tf.square(grad), scale: tf.scalar(1)});

/**
 * Updates in a row: the numbers of `adamw` and `clipByGlobalNorm`.
 *
 * @param state `params`, `first`, `second`, each `[n]`.
 * @param updates of each, the loss of the parameters, a scalar with what else is to be reported about it, and the step.
 * @returns the state after them; of each `loss`, the loss's metrics, and `gradientNorm`, which is that before clipping.
 */
export function adamUpdates(
  state: Branch<tf.Tensor>,
  updates: readonly {readonly loss: (params: tf.Tensor) => Loss; readonly step: AdamWStep}[],
  options: AdamUpdateOptions,
): {state: Branch<tf.Tensor>; metrics: readonly Record<string, tf.Tensor>[]} {
  const {params, first, second} = state as Record<string, tf.Tensor>;
  let now: Moving = {params, first, second, firstUnit: tf.scalar(1), secondUnit: tf.scalar(1)};
  const metrics = updates.map(({loss, step}) => {
    const updated = moved(now, loss, step, options);
    now = updated.state;
    return updated.metrics;
  });
  const plain = {
    params: now.params,
    first: tf.mul(now.first, now.firstUnit),
    second: tf.mul(now.second, now.secondUnit),
  };
  return {state: plain, metrics};
}
