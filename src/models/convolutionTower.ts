/**
 * A video tower of convolutions, each split into one in space and one in time: nothing in it attends. Tokens are the positions of
 * its last feature map, each told where it is, since convolutions do not know, and the state of the clip is their mean.
 *
 * @source Tran et al. 2018, "A closer look at spatiotemporal convolutions", arXiv:1711.11248: R(2+1)D.
 * @deviation layer norms over channels in place of batch norms, so that a clip's numbers do not depend on its batch.
 */
import * as tf from '@tensorflow/tfjs-core';
import {layerNorm} from '../autograd/fused.js';
import type {Branch, Params} from '../tensor/tree.js';
import {gridOf, patchify, patchSize, unpatchify, type Patching} from './denoiser.js';
import type {Initialiser} from './initialise.js';
import {branch, linear, reluSquared, weight} from './layers.js';
import {hiddenError, hiddenTokens} from './maskedVideo.js';
import {initialisePositions, positions} from './positions.js';
import type {VideoStates} from './videoTower.js';

/** Sizes of the tower. The last feature map is the clip's grid of patches. */
export interface ConvolutionTowerConfig extends Patching {
  /** Channels after the stem, which halves height and width. */
  readonly stem: number;
  /** Channels of the last feature map, D. */
  readonly width: number;
  /** Blocks at the stem's size, and at the last one. */
  readonly depth: readonly [early: number, late: number];
}

const STEM: Patching['patch'] = [1, 2, 2];

/** Fresh parameters; residual branches start small. */
export function initialiseConvolutionTower(init: Initialiser, config: ConvolutionTowerConfig): Params {
  const {latentShape, stem, width, depth} = config;
  const block = (channels: number): Params => ({
    space: convolution(init, [3, 3], channels, channels),
    time: convolution(init, [3, 1], channels, channels, 0.1),
  });
  const blocks = (count: number, channels: number): Params =>
    Object.fromEntries(Array.from({length: count}, (_, i) => [i, block(channels)]));
  return {
    stem: init.linear(patchSize({latentShape, patch: STEM}), stem),
    early: blocks(depth[0], stem),
    down: {space: convolution(init, [3, 3], stem, width), time: convolution(init, [3, 1], width, width)},
    late: blocks(depth[1], width),
    position: initialisePositions(gridOf(config, latentShape[0]), width),
  };
}

/** Filter `[kh, kw, in, out]` and bias; variance 1/inputs times `gain`². */
const convolution = (init: Initialiser, [high, wide]: readonly [number, number], from: number, to: number, gain = 1): Params => ({
  filter: init.normal([high, wide, from, to], gain / Math.sqrt(high * wide * from)),
  bias: init.zeros([to]),
});

/** Every frame convolved in space: `[B, F, H, W, C]` → `[B, F, H/stride, W/stride, C']`. */
function inSpace(params: Branch<tf.Tensor>, x: tf.Tensor, stride: number): tf.Tensor {
  const [batch, frames, height, width, channels] = x.shape as [number, number, number, number, number];
  const seen = tf.conv2d(
    tf.reshape<tf.Rank.R4>(x, [batch * frames, height, width, channels]),
    weight(params, 'filter') as tf.Tensor4D,
    stride,
    'same',
  );
  return tf.reshape(tf.add(seen, weight(params, 'bias')), [batch, frames, ...seen.shape.slice(1)]);
}

/** Every position convolved in time: `[B, F, H, W, C]` → `[B, F/stride, H, W, C']`. */
function inTime(params: Branch<tf.Tensor>, x: tf.Tensor, stride: number): tf.Tensor {
  const [batch, frames, height, width, channels] = x.shape as [number, number, number, number, number];
  const seen = tf.conv2d(
    tf.reshape<tf.Rank.R4>(x, [batch, frames, height * width, channels]),
    weight(params, 'filter') as tf.Tensor4D,
    [stride, 1],
    'same',
  );
  const biased = tf.add(seen, weight(params, 'bias'));
  return tf.reshape(biased, [batch, seen.shape[1], height, width, seen.shape[3]]);
}

const block = (params: Branch<tf.Tensor>, x: tf.Tensor): tf.Tensor =>
  tf.add(x, inTime(branch(params, 'time'), reluSquared(inSpace(branch(params, 'space'), layerNorm(x), 1)), 1));

const blocks = (params: Branch<tf.Tensor>, x: tf.Tensor): tf.Tensor =>
  Object.keys(params).reduce((y, i) => block(branch(params, i), y), x);

/**
 * Encodes whole clips.
 *
 * @param videos `[B, F, H, W, C]` in [-1, 1].
 */
export function convolutionTower(config: ConvolutionTowerConfig, params: Branch<tf.Tensor>, videos: tf.Tensor): VideoStates {
  const {latentShape, patch} = config;
  const [batch, frames, height, width] = videos.shape as [number, number, number, number];
  const cells = linear(branch(params, 'stem'), patchify({latentShape, patch: STEM}, videos));
  const early = blocks(branch(params, 'early'), tf.reshape(cells, [batch, frames, height / 2, width / 2, config.stem]));
  const down = branch(params, 'down');
  const smaller = inSpace(branch(down, 'space'), layerNorm(early), patch[1] / 2);
  const shorter = inTime(branch(down, 'time'), reluSquared(smaller), patch[0]);
  const late = blocks(branch(params, 'late'), shorter);
  const [t, y, x] = gridOf(config, frames);
  const placed = tf.add(tf.reshape(late, [batch, t * y * x, config.width]), positions(branch(params, 'position')));
  const tokens = layerNorm(placed);
  return {cls: tf.mean(tokens, 1), tokens};
}

/** Fresh parameters of the decoder: one layer on each token. */
export const initialiseMaskedConvolution = (init: Initialiser, config: ConvolutionTowerConfig): Params => ({
  clip: init.linear(config.width, config.width),
  out: init.normalLinear(config.width, patchSize(config), 0.02),
});

/**
 * Masked video modelling: hidden tubes are grey, and are painted from the tower's tokens and the clip's state.
 *
 * @returns mean squared error of the hidden pixels.
 * @source Xie et al. 2022, SimMIM, arXiv:2111.09886: a network that needs the whole grid sees the mask, and a linear head paints.
 */
export function maskedConvolutionLoss(
  config: ConvolutionTowerConfig,
  tower: Branch<tf.Tensor>,
  decoder: Branch<tf.Tensor>,
  videos: tf.Tensor,
  visible: tf.Tensor,
): tf.Scalar {
  const patches = patchify(config, videos);
  const hidden = hiddenTokens(visible, patches.shape[1]!);
  const shown = unpatchify(config, tf.mul(patches, tf.sub(1, hidden)), videos.shape[1]!);
  const {cls, tokens: states} = convolutionTower(config, tower, shown);
  const clip = tf.expandDims(linear(branch(decoder, 'clip'), cls), 1);
  const painted = linear(branch(decoder, 'out'), tf.add(states, clip));
  return hiddenError(painted, patches, hidden, visible);
}
