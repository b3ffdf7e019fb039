/**
 * Fusion of caption and video: each layer lets the caption look at the video (cross-attention), then at itself, then thinks; the
 * head behind says whether the two match. The caption's own attention comes second, so that what a word saw in the last layer
 * still reaches the state that the head reads. Keys and values are told where each token of the clip is: what a tower leaves of it
 * in its states was not enough to learn relations from.
 *
 * @source Li et al. 2021, ALBEF, arXiv:2107.07651, sections 3.1 and 3.2; Carion et al. 2020, DETR, arXiv:2005.12872, section 3.2
 * (positions at every attention).
 * @deviation there self-attention comes first.
 */
import * as tf from '@tensorflow/tfjs-core';
import {layerNorm} from '../autograd/fused.js';
import type {EncodedText, RefineAttention} from '../encoder.js';
import type {Branch, Params} from '../tensor/tree.js';
import {paddingBias, pooledText, type TextPooling} from './captionTower.js';
import type {Initialiser} from './initialise.js';
import {attention, branch, linear} from './layers.js';
import {initialisePositions, positions} from './positions.js';
import {initialiseBlock, joinHeads, LOGIT_SCALE, splitHeads, transformerBlock} from './transformerBlock.js';

/** Sizes of the fusion. */
export interface FusionConfig {
  readonly layers: number;
  readonly heads: number;
  /** Width of its states, D: the text tower's, from which they come. */
  readonly width: number;
  /** Width of the video states. */
  readonly videoWidth: number;
  /** `[T, Y, X]` of the video tokens. */
  readonly grid: readonly [number, number, number];
  readonly pooling: TextPooling;
}

/** Fresh parameters; residual branches start at zero. */
export function initialiseFusion(init: Initialiser, {layers, width, videoWidth, grid}: FusionConfig): Params {
  const layer = (): Params => ({
    cross: {
      query: init.linear(width, width),
      key: init.linear(videoWidth, width),
      value: init.linear(videoWidth, width),
      out: init.zeroLinear(width, width),
    },
    ...initialiseBlock(init, width),
  });
  return {
    position: initialisePositions(grid, videoWidth, 1),
    blocks: Object.fromEntries(Array.from({length: layers}, (_, i) => [i, layer()])),
    head: init.linear(width, 2),
  };
}

/**
 * States of a caption's tokens, normalised, after they have looked at the video.
 *
 * @param videoStates `[B, M, videoWidth]`: of the clip, then of its tokens.
 * @param refine what to put in the place of each layer's weights.
 * @returns `[B, N, width]`.
 */
export function fusedStates(
  config: FusionConfig,
  params: Branch<tf.Tensor>,
  text: EncodedText,
  videoStates: tf.Tensor,
  refine?: RefineAttention,
): tf.Tensor {
  const bias = paddingBias(text.valid);
  const placed = tf.add(
    videoStates,
    tf.pad(positions(branch(params, 'position')), [
      [1, 0],
      [0, 0],
    ]),
  );
  let x = text.states;
  for (let layer = 0; layer < config.layers; layer++) {
    const block = branch(branch(params, 'blocks'), String(layer));
    x = tf.add(x, crossAttention(config, branch(block, 'cross'), x, text, placed, layer, refine));
    x = transformerBlock(block, x, config.heads, bias);
  }
  return layerNorm(x);
}

/**
 * Whether captions and videos match.
 *
 * @param states of {@link fusedStates}. @param valid `[B, N]`: 1 where there is a token.
 * @returns logits `[B, 2]`: no match, match.
 */
export const matchOf = (config: FusionConfig, params: Branch<tf.Tensor>, states: tf.Tensor, valid: tf.Tensor): tf.Tensor =>
  linear(branch(params, 'head'), pooledText(config.pooling, states, valid));

function crossAttention(
  {heads, width}: FusionConfig,
  params: Branch<tf.Tensor>,
  x: tf.Tensor,
  text: EncodedText,
  videoStates: tf.Tensor,
  layer: number,
  refine?: RefineAttention,
): tf.Tensor {
  const projected = (name: string, t: tf.Tensor): tf.Tensor => splitHeads(linear(branch(params, name), t), heads);
  const q = layerNorm(projected('query', layerNorm(x)));
  const k = layerNorm(projected('key', videoStates));
  const v = projected('value', videoStates);
  const scale = LOGIT_SCALE / Math.sqrt(width / heads);
  let seen: tf.Tensor;
  if (refine) {
    const weights = tf.softmax(tf.mul(tf.matMul(q, k, false, true), scale));
    seen = tf.matMul(refine({layer, weights, queries: joinHeads(q), keys: joinHeads(k), text}), v);
  } else seen = attention(q, k, v, scale);
  return linear(branch(params, 'out'), joinHeads(seen));
}
