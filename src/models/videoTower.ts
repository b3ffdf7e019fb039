/**
 * A video tower of patches and attention: tubelets are tokens with learned positions, and a CLS state is gathered from them by
 * attention. It reads whole clips, and clips of which most tubes are hidden, for masked video modelling.
 *
 * @source Arnab et al. 2021, ViViT, arXiv:2103.15691 (tubelets); Zhai et al. 2022, arXiv:2106.04560, appendix A (pooling by
 * attention); Tong et al. 2022, VideoMAE, arXiv:2203.12602 (tube masking, only visible tokens are encoded).
 */
import * as tf from '@tensorflow/tfjs-core';
import {layerNorm} from '../autograd/fused.js';
import type {Branch, Params} from '../tensor/tree.js';
import {gridOf, patchify, patchSize, type Patching} from './denoiser.js';
import type {Initialiser} from './initialise.js';
import {attention, branch, linear, weight} from './layers.js';
import {initialisePositions, positions} from './positions.js';
import {
  feedForward,
  initialiseBlock,
  initialiseFeedForward,
  joinHeads,
  splitHeads,
  transformerBlock,
} from './transformerBlock.js';

/** Sizes of the tower. */
export interface VideoTowerConfig extends Patching {
  /** Width of a token, D. */
  readonly width: number;
  readonly depth: number;
  /** Heads; D must be a multiple. */
  readonly heads: number;
}

/** Tubes of a clip: patch positions of one frame of tokens. */
export const tubesOf = (config: Patching): number => {
  const [, rows, columns] = gridOf(config, config.latentShape[0]);
  return rows * columns;
};

/** Fresh parameters; residual branches start at zero. */
export function initialiseVideoTower(init: Initialiser, config: VideoTowerConfig): Params {
  const d = config.width;
  return {
    patch: init.linear(patchSize(config), d),
    position: initialisePositions(gridOf(config, config.latentShape[0]), d),
    blocks: Object.fromEntries(Array.from({length: config.depth}, (_, i) => [i, initialiseBlock(init, d)])),
    pool: initialisePool(init, d),
  };
}

/** Fresh parameters of the pooling. */
const initialisePool = (init: Initialiser, d: number): Params => ({
  query: init.normal([d], 1),
  key: init.linear(d, d),
  value: init.linear(d, d),
  out: init.linear(d, d),
  feedForward: initialiseFeedForward(init, d),
});

/** One state from all tokens, by a learned query: `[B, N, D]` → `[B, D]`. */
function pool(params: Branch<tf.Tensor>, x: tf.Tensor, heads: number): tf.Tensor {
  const [batch, , d] = x.shape as [number, number, number];
  const query = tf.broadcastTo(tf.reshape(weight(params, 'query'), [1, 1, d]), [batch, 1, d]);
  const [q, k, v] = [query, linear(branch(params, 'key'), x), linear(branch(params, 'value'), x)].map((t) =>
    splitHeads(t, heads),
  );
  const pooled = linear(branch(params, 'out'), joinHeads(attention(q, k, v, 1 / Math.sqrt(d / heads))));
  return tf.reshape(tf.add(pooled, feedForward(branch(params, 'feedForward'), layerNorm(pooled))), [batch, d]);
}

/** Normalised states: of the clip `[B, D]`, and of its tokens `[B, N, D]`. */
export interface VideoStates {
  readonly cls: tf.Tensor;
  readonly tokens: tf.Tensor;
}

function contextualise(config: VideoTowerConfig, params: Branch<tf.Tensor>, embedded: tf.Tensor): VideoStates {
  let x = embedded;
  for (let i = 0; i < config.depth; i++) x = transformerBlock(branch(branch(params, 'blocks'), String(i)), x, config.heads);
  const tokens = layerNorm(x);
  return {cls: layerNorm(pool(branch(params, 'pool'), tokens, config.heads)), tokens};
}

/**
 * Encodes whole clips.
 *
 * @param videos `[B, F, H, W, C]` in [-1, 1].
 */
export const videoTower = (config: VideoTowerConfig, params: Branch<tf.Tensor>, videos: tf.Tensor): VideoStates =>
  contextualise(
    config,
    params,
    tf.add(linear(branch(params, 'patch'), patchify(config, videos)), positions(branch(params, 'position'))),
  );

/** Picks tubes: `x [B, T·P, D]`, `visible [B, V, P]` of rows with a single 1 → `[B, T·V, D]`. */
export function pickTubes(x: tf.Tensor, visible: tf.Tensor): tf.Tensor {
  const [batch, count, tubes] = visible.shape as [number, number, number];
  const [, tokens, d] = x.shape as [number, number, number];
  const frames = tokens / tubes;
  return tf.reshape(tf.matMul(perFrame(visible, frames), tf.reshape(x, [batch * frames, tubes, d])), [batch, frames * count, d]);
}

/** Puts tubes back to where they were picked, zeros elsewhere: `[B, T·V, D]` → `[B, T·P, D]`. */
export function placeTubes(x: tf.Tensor, visible: tf.Tensor): tf.Tensor {
  const [batch, count, tubes] = visible.shape as [number, number, number];
  const [, tokens, d] = x.shape as [number, number, number];
  const frames = tokens / count;
  const placed = tf.matMul(perFrame(visible, frames), tf.reshape(x, [batch * frames, count, d]), true, false);
  return tf.reshape(placed, [batch, frames * tubes, d]);
}

/** `[B, V, P]` repeated for every frame: `[B·T, V, P]`. */
function perFrame(visible: tf.Tensor, frames: number): tf.Tensor {
  const [batch, count, tubes] = visible.shape as [number, number, number];
  const all = tf.broadcastTo(tf.reshape(visible, [batch, 1, count, tubes]), [batch, frames, count, tubes]);
  return tf.reshape(all, [batch * frames, count, tubes]);
}

/**
 * Encodes what is visible of clips.
 *
 * @param patches `[B, T·P, patch]` of `patchify`.
 * @param visible `[B, V, P]`: the visible tubes, a row with a single 1 for each.
 * @returns states of the clip and of the visible tokens.
 */
export function visibleTower(
  config: VideoTowerConfig,
  params: Branch<tf.Tensor>,
  patches: tf.Tensor,
  visible: tf.Tensor,
): VideoStates {
  const all = positions(branch(params, 'position'));
  const places = tf.broadcastTo(tf.expandDims(all, 0), [visible.shape[0], ...all.shape]);
  const embedded = linear(branch(params, 'patch'), pickTubes(patches, visible));
  return contextualise(config, params, tf.add(embedded, pickTubes(places, visible)));
}
