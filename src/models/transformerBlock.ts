/**
 * A pre-norm transformer block: self-attention with normalised queries and keys, then a squared-ReLU network. What the towers of
 * a video-text encoder are stacked of.
 *
 * @source Xiong et al. 2020, "On layer normalization in the transformer architecture", arXiv:2002.04745; query-key normalisation
 * from ViT-22B, arXiv:2302.05442.
 */
import * as tf from '@tensorflow/tfjs-core';
import {layerNorm} from '../autograd/fused.js';
import type {Branch, Params} from '../tensor/tree.js';
import type {Initialiser} from './initialise.js';
import {attention, branch, linear, reluSquared} from './layers.js';

/** Hidden width of the feed-forward network over D. */
const EXPANSION = 2;
/** Logit scale over √D: with unit-variance queries and keys, 2 lets attention be sharp from the start. */
export const LOGIT_SCALE = 2;

/** Fresh parameters; both residual branches start at zero. */
export const initialiseBlock = (init: Initialiser, width: number): Params => ({
  attention: {qkv: init.linear(width, 3 * width), out: init.zeroLinear(width, width)},
  feedForward: initialiseFeedForward(init, width),
});

/** Fresh parameters of the block's second half. */
export const initialiseFeedForward = (init: Initialiser, width: number): Params => ({
  in: init.linear(width, EXPANSION * width),
  out: init.zeroLinear(EXPANSION * width, width),
});

/** `[B, N, D]` → `[B, heads, N, D/heads]`. */
export function splitHeads(x: tf.Tensor, heads: number): tf.Tensor {
  const [batch, tokens, width] = x.shape as [number, number, number];
  return tf.transpose(tf.reshape(x, [batch, tokens, heads, width / heads]), [0, 2, 1, 3]);
}

/** The inverse of `splitHeads`. */
export function joinHeads(x: tf.Tensor): tf.Tensor {
  const [batch, heads, tokens, width] = x.shape as [number, number, number, number];
  return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [batch, tokens, heads * width]);
}

/**
 * x + attention(norm x), then x + network(norm x).
 *
 * @param x `[B, N, D]`.
 * @param keyBias `[B, N]`: added to the logits of a key, such as -1e4 for padding.
 */
export function transformerBlock(params: Branch<tf.Tensor>, x: tf.Tensor, heads: number, keyBias?: tf.Tensor): tf.Tensor {
  const attended = tf.add(x, selfAttention(branch(params, 'attention'), layerNorm(x), heads, keyBias));
  return tf.add(attended, feedForward(branch(params, 'feedForward'), layerNorm(attended)));
}

/** The squared-ReLU network. */
export const feedForward = (params: Branch<tf.Tensor>, x: tf.Tensor): tf.Tensor =>
  linear(branch(params, 'out'), reluSquared(linear(branch(params, 'in'), x)));

function selfAttention(params: Branch<tf.Tensor>, x: tf.Tensor, heads: number, keyBias?: tf.Tensor): tf.Tensor {
  const [batch, tokens, width] = x.shape as [number, number, number];
  const headWidth = width / heads;
  const perHead = tf.transpose(
    tf.reshape(linear(branch(params, 'qkv'), x), [batch, tokens, 3, heads, headWidth]),
    [2, 0, 3, 1, 4],
  );
  const [queriesAndKeys, values] = tf.split(perHead, [2, 1]) as [tf.Tensor, tf.Tensor];
  const [q, k] = tf.split(layerNorm(tf.reshape(queriesAndKeys, [2 * batch, heads, tokens, headWidth])), 2) as [
    tf.Tensor,
    tf.Tensor,
  ];
  const v = tf.reshape(values, [batch, heads, tokens, headWidth]);
  return linear(branch(params, 'out'), joinHeads(attention(q, k, v, LOGIT_SCALE / Math.sqrt(headWidth), keyBias)));
}
