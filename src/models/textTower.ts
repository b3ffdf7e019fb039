/** The text tower: word ids in, one state a word out. Small and pre-norm; it is trained with the denoiser. */
import * as tf from '@tensorflow/tfjs-core';
import {layerNorm} from '../autograd/fused.js';
import type {Branch, Params} from '../tensor/tree.js';
import type {Initialiser} from './initialise.js';
import {attention, branch, linear, weight} from './layers.js';
import {feedForward, joinHeads} from './transformerBlock.js';

/** Sizes of the text tower. */
export interface TextConfig {
  /** Number of words, padding (id 0) included. */
  readonly vocabulary: number;
  /** Tokens of every caption, L. */
  readonly length: number;
  /** Width of a state; equals the denoiser's. */
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
}

/** Fresh parameters. `null` is the state of "no caption", for classifier-free guidance. */
export function initialiseText(init: Initialiser, config: TextConfig): Params {
  const d = config.width;
  const norm = (): Params => ({scale: init.ones([d]), shift: init.zeros([d])});
  return {
    embedding: init.normal([config.vocabulary, d], 1),
    position: init.normal([config.length, d], 0.02),
    null: init.normal([config.length, d], 0.02),
    blocks: Object.fromEntries(
      Array.from({length: config.depth}, (_, i) => [
        i,
        {
          norm1: norm(),
          qkv: init.linear(d, 3 * d),
          out: init.linear(d, d),
          norm2: norm(),
          feedForward: {in: init.linear(d, 4 * d), out: init.linear(4 * d, d)},
        },
      ]),
    ),
  };
}

const affineNorm = (params: Branch<tf.Tensor>, x: tf.Tensor): tf.Tensor =>
  tf.add(tf.mul(layerNorm(x), weight(params, 'scale')), weight(params, 'shift'));

/**
 * Encodes captions.
 *
 * @param params of `initialiseText`.
 * @param tokens `[B, L]` int32; padding is a word like any other, so no mask is needed.
 * @returns `[B, L, D]`.
 */
export function encodeText(config: TextConfig, params: Branch<tf.Tensor>, tokens: tf.Tensor): tf.Tensor {
  const [batch, length] = tokens.shape as [number, number];
  const {width: d, heads} = config;
  let x = tf.add(tf.gather(weight(params, 'embedding'), tokens as tf.Tensor2D), weight(params, 'position'));
  for (let i = 0; i < config.depth; i++) {
    const block = branch(branch(params, 'blocks'), String(i));
    const qkv = tf.reshape(linear(branch(block, 'qkv'), affineNorm(branch(block, 'norm1'), x)), [
      batch,
      length,
      3,
      heads,
      d / heads,
    ]);
    const [q, k, v] = tf.unstack(tf.transpose(qkv, [2, 0, 3, 1, 4])) as [tf.Tensor, tf.Tensor, tf.Tensor];
    x = tf.add(x, linear(branch(block, 'out'), joinHeads(attention(q, k, v, 1 / Math.sqrt(d / heads)))));
    x = tf.add(x, feedForward(branch(block, 'feedForward'), affineNorm(branch(block, 'norm2'), x)));
  }
  return x;
}

/** The state of "no caption", repeated: `[B, L, D]`. */
export const encodeNullText = (params: Branch<tf.Tensor>, batch: number): tf.Tensor => {
  const state = weight(params, 'null');
  return tf.broadcastTo(tf.expandDims(state, 0), [batch, ...state.shape]);
};
