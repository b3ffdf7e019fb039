/** The network of the map and of its potential: three linear layers, ReLU and layer normalisation after the first two. */
import * as tf from '@tensorflow/tfjs-core';
import {layerNorm} from '../../autograd/fused.js';
import {ndarray, zeros} from '../../tensor/ndarray.js';
import type {Branch, Params} from '../../tensor/tree.js';

/** Widths of the layers. */
export interface PerceptronSizes {
  readonly inputs: number;
  readonly hidden: number;
  readonly outputs: number;
}

/**
 * Fresh parameters; norms begin as the identity.
 *
 * @param linear draws weight `[in, out]` and bias of a linear layer.
 */
export function perceptronParams(
  {inputs, hidden, outputs}: PerceptronSizes,
  linear: (inputs: number, outputs: number) => Params,
): Params {
  const norm = (): Params => ({
    scale: ndarray('float32', [hidden], new Float32Array(hidden).fill(1)),
    shift: zeros('float32', [hidden]),
  });
  return {
    0: {linear: linear(inputs, hidden), norm: norm()},
    1: {linear: linear(hidden, hidden), norm: norm()},
    2: {linear: linear(hidden, outputs)},
  };
}

interface Layer {
  readonly linear: {readonly weight: tf.Tensor2D; readonly bias: tf.Tensor};
  readonly norm: {readonly scale: tf.Tensor; readonly shift: tf.Tensor};
}

/**
 * `x [B, inputs]` → `[B, outputs]`.
 *
 * @source PISCES, arXiv:2602.01624, §3.2; released `OptimalTransportMap`, `PotentialNetwork`.
 */
export function perceptron(params: Branch<tf.Tensor>, x: tf.Tensor): tf.Tensor {
  const layers = [0, 1, 2].map((i) => params[i] as unknown as Layer);
  const affine = ({linear}: Layer, h: tf.Tensor): tf.Tensor => tf.add(tf.matMul(h as tf.Tensor2D, linear.weight), linear.bias);
  const hidden = (layer: Layer, h: tf.Tensor): tf.Tensor =>
    tf.add(tf.mul(layerNorm(tf.relu(affine(layer, h))), layer.norm.scale), layer.norm.shift);
  return affine(layers[2], hidden(layers[1], hidden(layers[0], x)));
}
