/**
 * The network of the peer's benchmarks (shared/bench/peer/dit.py) with this project's layers: the same arithmetic, so that times
 * compare. Text tokens stand before the video tokens, full attention over both, adaptive norm, rotary positions on the video
 * tokens, a depthwise convolution on their grid, erf-GELU, x-prediction of patch tokens.
 */
import * as tf from '@tensorflow/tfjs-core';
import {layerNorm, rotary} from '../src/autograd/fused.js';
import {rotaryAngles} from '../src/models/denoiser.js';
import {depthwiseConvolution} from '../src/models/depthwiseConvolution.js';
import {initialiser, type Initialiser} from '../src/models/initialise.js';
import {attention, branch, geluFeedForward, linear, modulatedNorm, silu, timeEmbedding, weight} from '../src/models/layers.js';
import type {Branch, Params} from '../src/tensor/tree.js';

/** Sizes, under the peer's names of presets. */
export interface PeerConfig {
  readonly size: number;
  readonly frames: number;
  /** Text tokens. */
  readonly text: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Clips of one pass, by measurement (docs/performance.md): small networks are bound by the number of passes. */
  readonly micro: number;
}

export const presets: Readonly<Record<string, PeerConfig>> = {
  nano: {size: 16, frames: 4, text: 8, width: 64, layers: 3, heads: 2, micro: 32},
  mini: {size: 24, frames: 8, text: 16, width: 96, layers: 4, heads: 3, micro: 8},
  base: {size: 32, frames: 8, text: 24, width: 192, layers: 6, heads: 6, micro: 4},
};

const PATCH = 4;
const PATCH_FRAMES = 2;
const TEXT_LAYERS = 2;
export const VOCABULARY = 220;
const EXPANSION = 4;
const PADDING_BIAS = -1e4;
const TIME_WIDTH = 128;
/** Elements of a patch token. */
export const PATCH_SIZE = PATCH_FRAMES * PATCH * PATCH * 3;

export const gridOf = (c: PeerConfig): [number, number, number] => [c.frames / PATCH_FRAMES, c.size / PATCH, c.size / PATCH];
export const tokensOf = (c: PeerConfig): number => gridOf(c).reduce((n, d) => n * d, 1);

/** Operations of one clip's forward pass, counted as the peer counts them: 2 a multiply-add of products, attention, convolution. */
export function forwardOperations(c: PeerConfig, withText: boolean): number {
  const [tokens, d] = [tokensOf(c), c.width];
  const k = tokens + c.text;
  const products = (4 + 2 * EXPANSION) * d * d;
  const layers = c.layers * (2 * products * k + 4 * k * k * d + 2 * 27 * tokens * d);
  const ends = 2 * 2 * PATCH_SIZE * d * tokens + 2 * (TIME_WIDTH * d + 6 * d * d);
  return layers + ends + (withText ? TEXT_LAYERS * (2 * products * c.text + 4 * c.text * c.text * d) : 0);
}

/** Fresh parameters. */
export function initialisePeer(c: PeerConfig, seed: number): Params {
  const init = initialiser(seed);
  const d = c.width;
  return {
    text: {
      embedding: init.normal([VOCABULARY, d], 1),
      position: init.normal([c.text, d], 0.02),
      null: init.normal([c.text, d], 0.02),
      blocks: blocks(TEXT_LAYERS, () => plainParams(init, d)),
    },
    patch: init.linear(PATCH_SIZE, d),
    position: init.normal([tokensOf(c), d], 0.02),
    time1: init.linear(TIME_WIDTH, d),
    time2: init.linear(d, 6 * d),
    blocks: blocks(c.layers, () => ({
      ...core(init, d),
      bias: init.normal([6, d], 0.02),
      convolution: init.normal([d, 27], 0.05),
    })),
    out: init.normalLinear(d, PATCH_SIZE, 0.02),
  };
}

const core = (init: Initialiser, d: number): Params => ({
  qkv: init.linear(d, 3 * d),
  proj: init.linear(d, d),
  feedForward: {in: init.linear(d, EXPANSION * d), out: init.linear(EXPANSION * d, d)},
});
const affine = (init: Initialiser, d: number): Params => ({scale: init.ones([d]), shift: init.zeros([d])});
const plainParams = (init: Initialiser, d: number): Params => ({
  ...core(init, d),
  norm1: affine(init, d),
  norm2: affine(init, d),
});
const blocks = (n: number, make: () => Params): Params => Object.fromEntries(Array.from({length: n}, (_, i) => [i, make()]));

/** Frozen while a policy is fine-tuned. */
export const isText = (path: string): boolean => path.startsWith('text.');

/** Attention of a block, from normalised tokens to the output projection. */
function attend(
  c: Pick<PeerConfig, 'heads'>,
  params: Branch<tf.Tensor>,
  x: tf.Tensor,
  keyBias: tf.Tensor | undefined,
  rotate: (y: tf.Tensor) => tf.Tensor,
): tf.Tensor {
  const [batch, n, d] = x.shape as [number, number, number];
  const [weights, biases] = [
    tf.split(weight(branch(params, 'qkv'), 'weight'), 3, 1),
    tf.split(weight(branch(params, 'qkv'), 'bias'), 3),
  ];
  const [q, k, v] = weights.map((w, i) => {
    const y = linear({weight: w, bias: biases[i]}, x);
    return tf.transpose(tf.reshape(y, [batch, n, c.heads, d / c.heads]), [0, 2, 1, 3]);
  }) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const out = attention(rotate(q), rotate(k), v, 1 / Math.sqrt(d / c.heads), keyBias);
  return linear(branch(params, 'proj'), tf.reshape(tf.transpose(out, [0, 2, 1, 3]), [batch, n, d]));
}

/** A plain pre-norm block: attention and feed-forward on the residual stream. */
function plainBlock(heads: number, params: Branch<tf.Tensor>, x: tf.Tensor, keyBias?: tf.Tensor): tf.Tensor {
  const norm = (name: string, y: tf.Tensor): tf.Tensor => {
    const p = branch(params, name);
    return tf.add(tf.mul(layerNorm(y), weight(p, 'scale')), weight(p, 'shift'));
  };
  const attended = tf.add(
    x,
    attend({heads}, params, norm('norm1', x), keyBias, (y) => y),
  );
  return tf.add(attended, geluFeedForward(branch(params, 'feedForward'), norm('norm2', attended)));
}

/**
 * Encodes captions.
 *
 * @param tokens `[B, L]` int32, 0 = padding. @param drop `[B]` 1 where the caption is withheld.
 * @returns states `[B, L, D]` and the bias of each as an attention key `[B, L]`.
 */
export function encodePeer(
  c: PeerConfig,
  params: Branch<tf.Tensor>,
  tokens: tf.Tensor,
  drop?: tf.Tensor,
): {states: tf.Tensor; keyBias: tf.Tensor} {
  const text = branch(params, 'text');
  let keyBias = tf.mul(tf.cast(tf.equal(tokens, 0), 'float32'), PADDING_BIAS);
  let x = tf.add(tf.gather(weight(text, 'embedding'), tokens as tf.Tensor2D), weight(text, 'position'));
  for (let i = 0; i < TEXT_LAYERS; i++) x = plainBlock(c.heads, branch(branch(text, 'blocks'), String(i)), x, keyBias);
  if (drop) {
    const shown = tf.sub(1, drop);
    const rows = (t: tf.Tensor): tf.Tensor => tf.reshape(t, [-1, 1, 1]);
    x = tf.add(tf.mul(x, rows(shown)), tf.mul(weight(text, 'null'), rows(drop)));
    keyBias = tf.mul(keyBias, tf.reshape(shown, [-1, 1]));
  }
  return {states: x, keyBias};
}

/** Predicts clean patch tokens `[B, tokens, PATCH_SIZE]` from noisy ones, times `[B]` and encoded captions. */
export function denoisePeer(
  c: PeerConfig,
  params: Branch<tf.Tensor>,
  latent: tf.Tensor,
  time: tf.Tensor,
  text: {states: tf.Tensor; keyBias: tf.Tensor},
): tf.Tensor {
  const d = c.width;
  const batch = latent.shape[0];
  const grid = gridOf(c);
  const tokens = tokensOf(c);
  const angles = [
    ...Array.from({length: c.text}, () => new Array<number>(d / c.heads / 2).fill(0)),
    ...rotaryAngles(grid, d / c.heads),
  ];
  const hidden = silu(tf.add(linear(branch(params, 'time1'), timeEmbedding(time, TIME_WIDTH)), tf.mean(text.states, 1)));
  const shared = tf.reshape(linear(branch(params, 'time2'), hidden), [batch, 6, d]);
  const keyBias = tf.concat([text.keyBias, tf.zeros([batch, tokens])], 1);
  let x = tf.concat([text.states, tf.add(linear(branch(params, 'patch'), latent), weight(params, 'position'))], 1);
  for (let i = 0; i < c.layers; i++) {
    const block = branch(branch(params, 'blocks'), String(i));
    const [shift1, scale1, gate1, shift2, scale2, gate2] = tf.split(tf.add(shared, weight(block, 'bias')), 6, 1) as [
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
    ];
    x = tf.add(
      x,
      tf.mul(
        attend(c, block, modulatedNorm(x, scale1, shift1), keyBias, (y) => rotary(y, angles)),
        gate1,
      ),
    );
    const [words, video] = tf.split(x, [c.text, tokens], 1) as [tf.Tensor, tf.Tensor];
    x = tf.concat([words, tf.add(video, depthwiseConvolution(weight(block, 'convolution'), video, grid))], 1);
    x = tf.add(x, tf.mul(geluFeedForward(branch(block, 'feedForward'), modulatedNorm(x, scale2, shift2)), gate2));
  }
  return linear(branch(params, 'out'), layerNorm(tf.slice(x, [0, c.text, 0], [batch, tokens, d])));
}

const ENCODER = {layers: 4, heads: 4, out: 64};
/** Width of the peer's frozen video encoder. */
const encoderWidth = (c: PeerConfig): number => (c.width <= 96 ? 96 : 128);

/** Parameters of the peer's frozen video encoder. */
export function initialiseEncoder(c: PeerConfig, seed: number): Params {
  const init = initialiser(seed);
  const d = encoderWidth(c);
  return {
    in: init.linear(PATCH_SIZE, d),
    position: init.normal([tokensOf(c), d], 0.02),
    blocks: blocks(ENCODER.layers, () => plainParams(init, d)),
    norm: affine(init, d),
    query: init.normal([1, d], 0.02),
    out: init.linear(d, ENCODER.out),
  };
}

/** Operations of one clip's pass through it, as the peer counts them. */
export function encoderOperations(c: PeerConfig): number {
  const [tokens, d] = [tokensOf(c), encoderWidth(c)];
  return ENCODER.layers * (2 * (4 + 2 * EXPANSION) * d * d * tokens + 4 * tokens * tokens * d) + 2 * PATCH_SIZE * d * tokens;
}

/** Cosine of the embedding of patch tokens `[B, tokens, PATCH_SIZE]` and a goal `[B, 64]` of length 1: `[B]`. */
export function encoderReward(params: Branch<tf.Tensor>, clip: tf.Tensor, goal: tf.Tensor): tf.Tensor {
  let x = tf.add(linear(branch(params, 'in'), clip), weight(params, 'position'));
  for (let i = 0; i < ENCODER.layers; i++) x = plainBlock(ENCODER.heads, branch(branch(params, 'blocks'), String(i)), x);
  const norm = branch(params, 'norm');
  x = tf.add(tf.mul(layerNorm(x), weight(norm, 'scale')), weight(norm, 'shift'));
  const [batch, tokens, d] = x.shape as [number, number, number];
  const logits = tf.matMul(tf.reshape(x, [batch * tokens, d]), weight(params, 'query'), false, true);
  const shares = tf.softmax(tf.reshape(tf.div(logits, Math.sqrt(d)), [batch, 1, tokens]));
  const pooled = tf.reshape(tf.matMul(shares, x), [batch, d]);
  const embedding = linear(branch(params, 'out'), pooled);
  return tf.div(tf.sum(tf.mul(embedding, goal), -1), tf.norm(embedding, 2, -1));
}

/** Times below this weigh no more than it. */
const MINIMUM_TIME = 0.15;

/** The peer's pre-training loss of a batch `{clean, noise, time, tokens, drop}`. */
export function peerLoss(c: PeerConfig, params: Branch<tf.Tensor>, batch: Readonly<Record<string, tf.Tensor>>): tf.Scalar {
  const {clean, noise, time, tokens, drop} = batch as Required<typeof batch>;
  const t = tf.reshape(time, [-1, 1, 1]);
  const latent = tf.add(clean, tf.mul(tf.sub(noise, clean), t));
  const out = denoisePeer(c, params, latent, time, encodePeer(c, params, tokens, drop));
  return tf.mean(tf.square(tf.div(tf.sub(out, clean), tf.maximum(t, MINIMUM_TIME))));
}
