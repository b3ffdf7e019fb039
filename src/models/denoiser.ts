/**
 * The denoising transformer: noisy video, time and text in, predicted clean video out.
 *
 * Video patches are tokens; every block attends over the text's keys and values and over all video tokens (3-D rotary
 * positions, normalised queries and keys), then convolves the token grid depthwise, then applies a squared-ReLU network.
 * Time and the mean text state modulate each block through one shared adaptive-norm projection plus a bias per block.
 *
 * @source Peebles & Xie 2023, DiT, arXiv:2212.09748; adaLN-single from PixArt-α, arXiv:2310.00426; query-key normalisation
 * from ViT-22B, arXiv:2302.05442.
 */
import * as tf from '@tensorflow/tfjs-core';
import {layerNorm, rotary} from '../autograd/fused.js';
import type {Branch, Params} from '../tensor/tree.js';
import {gridConvolution} from './gridConvolution.js';
import {initialiser, type Initialiser} from './initialise.js';
import {attention, branch, linear, modulatedNorm, silu, timeEmbedding, weight} from './layers.js';
import {positions} from './positions.js';
import {initialiseText, type TextConfig} from './textTower.js';
import {feedForward, joinHeads} from './transformerBlock.js';

/** Sizes of the network. */
export interface DenoiserConfig {
  /** `[F, H, W, C]` of the latent. */
  readonly latentShape: readonly [number, number, number, number];
  /** `[frames, height, width]` of a patch. */
  readonly patch: readonly [number, number, number];
  /** Width of a token, D. */
  readonly width: number;
  /** Blocks. */
  readonly depth: number;
  /** Heads; D must be a multiple. */
  readonly heads: number;
  readonly text: TextConfig;
}

/** What is cut into patches, and how. */
export type Patching = Pick<DenoiserConfig, 'latentShape' | 'patch'>;

const TIME_WIDTH = 128;
/** Hidden width of the feed-forward network over D. */
const EXPANSION = 4;
/** Base of the rotary frequencies: the grid has at most a few dozen positions along an axis. */
const ROTARY_BASE = 30;
/** Logit scale over √D: with unit-variance queries and keys, 2 lets attention be sharp from the start. */
const LOGIT_SCALE = 2;

/** `[T, Y, X]` token grid of a latent with `frames` frames. */
export function gridOf(config: Patching, frames: number): [number, number, number] {
  const [, h, w] = config.latentShape;
  const [pt, py, px] = config.patch;
  return [frames / pt, h / py, w / px];
}

/** Numbers in one patch. */
export const patchSize = ({latentShape, patch}: Patching): number => patch[0] * patch[1] * patch[2] * latentShape[3];

/** Fresh parameters; residual branches start at zero. */
export function initialiseDenoiser(config: DenoiserConfig, seed: number): Params {
  const init = initialiser(seed);
  const d = config.width;
  const [t, y, x] = gridOf(config, config.latentShape[0]);
  return {
    text: initialiseText(init, config.text),
    patch: init.linear(patchSize(config), d),
    position: {space: init.normal([y * x, d], 0.02), time: init.normal([t, d], 0.02)},
    time: init.linear(TIME_WIDTH, d),
    modulation: init.zeroLinear(d, 6 * d),
    blocks: Object.fromEntries(Array.from({length: config.depth}, (_, i) => [i, initialiseBlock(init, config)])),
    final: {modulation: init.zeroLinear(d, 2 * d), out: init.normalLinear(d, patchSize(config), 0.02)},
  };
}

function initialiseBlock(init: Initialiser, config: DenoiserConfig): Params {
  const d = config.width;
  return {
    bias: init.normal([6, d], 0.02),
    attention: {qkv: init.linear(d, 3 * d), text: init.linear(config.text.width, 2 * d), out: init.zeroLinear(d, d)},
    convolution: {space: init.zeros([d, 9]), bias: init.zeros([d]), time: init.rows(d, [0, 1, 0])},
    feedForward: {in: init.linear(d, EXPANSION * d), out: init.zeroLinear(EXPANSION * d, d)},
  };
}

/** Rotation angle of every token and frequency, `[T·Y·X, D_head/2]`: a quarter of the frequencies for time, the rest for space. */
export function rotaryAngles(grid: readonly [number, number, number], headWidth: number): number[][] {
  const half = headWidth / 2;
  const counts = [Math.floor(half / 4), 0, 0];
  counts[1] = Math.floor((half - counts[0]) / 2);
  counts[2] = half - counts[0] - counts[1];
  const angles: number[][] = [];
  for (let t = 0; t < grid[0]; t++) {
    for (let y = 0; y < grid[1]; y++) {
      for (let x = 0; x < grid[2]; x++) {
        angles.push(
          [t, y, x].flatMap((position, axis) =>
            Array.from({length: counts[axis]}, (_, i) => position / ROTARY_BASE ** (i / counts[axis])),
          ),
        );
      }
    }
  }
  return angles;
}

/** `[B, F, H, W, C]` → `[B, tokens, patch]`, each patch ordered (frame, row, column, channel). */
export function patchify(config: Patching, x: tf.Tensor): tf.Tensor {
  const [batch, frames, , , c] = x.shape as [number, number, number, number, number];
  const [t, y, w] = gridOf(config, frames);
  const [pt, py, px] = config.patch;
  const split = tf.transpose(tf.reshape(x, [batch, t, pt, y, py, w, px * c]), [0, 1, 3, 5, 2, 4, 6]);
  return tf.reshape(split, [batch, t * y * w, pt * py * px * c]);
}

/** The inverse of `patchify`. */
export function unpatchify(config: Patching, z: tf.Tensor, frames: number): tf.Tensor {
  const [t, y, w] = gridOf(config, frames);
  const [pt, py, px] = config.patch;
  const [, h, width, c] = config.latentShape;
  const batch = z.shape[0];
  const joined = tf.transpose(tf.reshape(z, [batch, t, y, w, pt, py, px * c]), [0, 1, 4, 2, 5, 3, 6]);
  return tf.reshape(joined, [batch, frames, h, width, c]);
}

/**
 * Predicts the clean latent.
 *
 * @param latent `[B, F, H, W, C]`, `(1 − t)·x0 + t·ε`. F may be one patch only: a still, which has no time position.
 * @param time `[B]` in [0, 1].
 * @param text `[B, L, D]` from `encodeText`.
 * @returns `[B, F, H, W, C]`.
 */
export function denoise(
  config: DenoiserConfig,
  params: Branch<tf.Tensor>,
  latent: tf.Tensor,
  time: tf.Tensor,
  text: tf.Tensor,
): tf.Tensor {
  const d = config.width;
  const [batch, frames] = latent.shape as [number, number];
  const grid = gridOf(config, frames);
  const angles = rotaryAngles(grid, d / config.heads);
  const condition = silu(tf.add(linear(branch(params, 'time'), timeEmbedding(time, TIME_WIDTH)), tf.mean(text, 1)));
  const shared = tf.reshape(linear(branch(params, 'modulation'), condition), [batch, 6, d]);
  // A still has no place in time.
  const places = branch(params, 'position');
  const placed = grid[0] === 1 ? weight(places, 'space') : positions(places);
  let x = tf.add(linear(branch(params, 'patch'), patchify(config, latent)), placed);
  for (let i = 0; i < config.depth; i++) {
    x = block(config, branch(branch(params, 'blocks'), String(i)), x, shared, text, grid, angles);
  }
  const final = branch(params, 'final');
  const [scale, shift] = tf.split(tf.reshape(linear(branch(final, 'modulation'), condition), [batch, 2, d]), 2, 1) as [
    tf.Tensor,
    tf.Tensor,
  ];
  return unpatchify(config, linear(branch(final, 'out'), modulatedNorm(x, scale, shift)), frames);
}

function block(
  config: DenoiserConfig,
  params: Branch<tf.Tensor>,
  x: tf.Tensor,
  shared: tf.Tensor,
  text: tf.Tensor,
  grid: readonly [number, number, number],
  angles: readonly (readonly number[])[],
): tf.Tensor {
  const m = tf.split(tf.add(shared, weight(params, 'bias')), 6, 1) as [
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
    tf.Tensor,
  ];
  const [shift1, scale1, gate1, shift2, scale2, gate2] = m;
  const attended = selfAndTextAttention(config, branch(params, 'attention'), modulatedNorm(x, scale1, shift1), text, angles);
  let y = tf.add(x, tf.mul(attended, tf.add(gate1, 1)));
  y = tf.add(y, gridConvolution(branch(params, 'convolution'), y, grid));
  const thought = feedForward(branch(params, 'feedForward'), modulatedNorm(y, scale2, shift2));
  return tf.add(y, tf.mul(thought, tf.add(gate2, 1)));
}

function selfAndTextAttention(
  config: DenoiserConfig,
  params: Branch<tf.Tensor>,
  x: tf.Tensor,
  text: tf.Tensor,
  angles: readonly (readonly number[])[],
): tf.Tensor {
  const [batch, tokens, d] = x.shape as [number, number, number];
  const {heads} = config;
  const headWidth = d / heads;
  const words = text.shape[1]!;
  const perHead = (y: tf.Tensor, parts: number, length: number): tf.Tensor =>
    tf.transpose(tf.reshape(y, [batch, length, parts, heads, headWidth]), [2, 0, 3, 1, 4]);
  const [qk, v] = tf.split(perHead(linear(branch(params, 'qkv'), x), 3, tokens), [2, 1]) as [tf.Tensor, tf.Tensor];
  const [textKey, textValue] = tf.split(perHead(linear(branch(params, 'text'), text), 2, words), 2) as [tf.Tensor, tf.Tensor];
  const flat = (y: tf.Tensor, n: number, length: number): tf.Tensor => tf.reshape(y, [n, heads, length, headWidth]);
  const rotated = rotary(layerNorm(flat(qk, 2 * batch, tokens)), angles);
  const [q, videoKey] = tf.split(rotated, 2) as [tf.Tensor, tf.Tensor];
  const k = tf.concat([layerNorm(flat(textKey, batch, words)), videoKey], 2);
  const allValues = tf.concat([flat(textValue, batch, words), flat(v, batch, tokens)], 2);
  const out = attention(q, k, allValues, LOGIT_SCALE / Math.sqrt(headWidth));
  return linear(branch(params, 'out'), joinHeads(out));
}
