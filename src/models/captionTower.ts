/**
 * The text tower of a video-text encoder: words in, a state a word and one for the caption out. Padding is masked, so that it
 * changes nothing.
 */
import * as tf from '@tensorflow/tfjs-core';
import {layerNorm} from '../autograd/fused.js';
import {zeros, type NdArray} from '../tensor/ndarray.js';
import type {Branch, Params} from '../tensor/tree.js';
import type {Initialiser} from './initialise.js';
import {branch, weight} from './layers.js';
import {initialiseBlock, transformerBlock} from './transformerBlock.js';

/** Where the state of a whole text comes from: a token of its own in front, or the mean over the words. */
export type TextPooling = 'cls' | 'mean';

/** Sizes of the tower. */
export interface CaptionTowerConfig {
  /** Words, padding (id 0) included. With pooling by CLS, the id behind the last word is CLS. */
  readonly words: number;
  /** Words of the longest caption. */
  readonly length: number;
  /** Width of a state. */
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly pooling: TextPooling;
}

/** Added to the logits of a key that is padding: its weight is 0 exactly. */
const PADDING = -1e4;

/** Tokens of a caption, CLS included. */
export const captionLength = (config: CaptionTowerConfig): number => config.length + (config.pooling === 'cls' ? 1 : 0);

/** Fresh parameters. */
export function initialiseCaptionTower(init: Initialiser, config: CaptionTowerConfig): Params {
  const {words, width, depth} = config;
  return {
    embedding: init.normal([words + 1, width], 1),
    position: init.normal([captionLength(config), width], 0.02),
    blocks: Object.fromEntries(Array.from({length: depth}, (_, i) => [i, initialiseBlock(init, width)])),
  };
}

/** Puts CLS in front of a world's tokens `[B, L]`, where the pooling wants it. */
export function withCls(config: CaptionTowerConfig, tokens: NdArray<'int32'>): NdArray<'int32'> {
  if (config.pooling === 'mean') return tokens;
  const [batch, length] = tokens.shape as [number, number];
  const out = zeros('int32', [batch, length + 1]);
  for (let row = 0; row < batch; row++) {
    out.data[row * (length + 1)] = config.words;
    out.data.set(tokens.data.subarray(row * length, (row + 1) * length), row * (length + 1) + 1);
  }
  return out;
}

/** What is known of the tokens without any weights. */
export interface TokenMasks {
  /** `[B, N]`: 1 where there is a token. */
  readonly valid: tf.Tensor;
  /** `[B, N]`: 1 where the token is a word. */
  readonly lexical: tf.Tensor;
}

/** `tokens [B, N]` int32. */
export const tokenMasks = (config: CaptionTowerConfig, tokens: tf.Tensor): TokenMasks => {
  const valid = tf.cast(tf.notEqual(tokens, tf.scalar(0, 'int32')), 'float32');
  return {valid, lexical: tf.mul(valid, tf.cast(tf.notEqual(tokens, tf.scalar(config.words, 'int32')), 'float32'))};
};

/** `[B, N]`: 0 for tokens, -1e4 for padding. */
export const paddingBias = (valid: tf.Tensor): tf.Tensor => tf.mul(tf.sub(1, valid), PADDING);

/** The state of each whole text: `states [B, N, D]`, `valid [B, N]` → `[B, D]`. */
export function pooledText(pooling: TextPooling, states: tf.Tensor, valid: tf.Tensor): tf.Tensor {
  const [batch, length, d] = states.shape as [number, number, number];
  if (pooling === 'cls') return tf.reshape(tf.slice(states, [0, 0, 0], [batch, 1, d]), [batch, d]);
  const sum = tf.matMul(tf.reshape(valid, [batch, 1, length]), states);
  return tf.div(tf.reshape(sum, [batch, d]), tf.maximum(tf.sum(valid, 1, true), 1));
}

/** Words that the tower is not shown: where (`places [B, N]`, 1 there), and what stands there instead (`vector [D]`). */
export interface HiddenWords {
  readonly places: tf.Tensor;
  readonly vector: tf.Tensor;
}

/** Normalised states of the tokens `[B, N, D]`. */
export function captionTower(
  config: CaptionTowerConfig,
  params: Branch<tf.Tensor>,
  tokens: tf.Tensor,
  valid: tf.Tensor,
  hidden?: HiddenWords,
): tf.Tensor {
  const bias = paddingBias(valid);
  const words = tf.gather(weight(params, 'embedding'), tokens);
  let x = tf.add(hidden ? covered(words, hidden) : words, weight(params, 'position'));
  for (let i = 0; i < config.depth; i++) x = transformerBlock(branch(branch(params, 'blocks'), String(i)), x, config.heads, bias);
  return layerNorm(x);
}

function covered(words: tf.Tensor, {places, vector}: HiddenWords): tf.Tensor {
  const there = tf.expandDims(places, 2);
  return tf.add(tf.mul(words, tf.sub(1, there)), tf.mul(there, vector));
}
