/**
 * Masked video modelling for the tower of patches: three quarters of the tubes are hidden, and a small decoder paints them from
 * what the tower made of the rest and of the clip as a whole. What the captions never mention, such as blur or flicker, is thereby
 * kept in the states.
 *
 * @source Tong et al. 2022, VideoMAE, arXiv:2203.12602. @deviation the decoder is told the CLS state too, and paints plain pixels.
 */
import * as tf from '@tensorflow/tfjs-core';
import {layerNorm} from '../autograd/fused.js';
import type {Branch, Params} from '../tensor/tree.js';
import {gridOf, patchify, patchSize} from './denoiser.js';
import type {Initialiser} from './initialise.js';
import {branch, linear, weight} from './layers.js';
import {initialiseBlock, transformerBlock} from './transformerBlock.js';
import {initialisePositions, positions} from './positions.js';
import {placeTubes, visibleTower, type VideoTowerConfig} from './videoTower.js';

/** Sizes of the decoder. */
export interface MaskedVideoConfig {
  readonly tower: VideoTowerConfig;
  readonly width: number;
  readonly heads: number;
}

/** Fresh parameters of the decoder. */
export const initialiseMaskedVideo = (init: Initialiser, {tower, width}: MaskedVideoConfig): Params => ({
  in: init.linear(tower.width, width),
  clip: init.linear(tower.width, width),
  hidden: init.normal([width], 0.02),
  position: initialisePositions(gridOf(tower, tower.latentShape[0]), width),
  blocks: {0: initialiseBlock(init, width)},
  out: init.normalLinear(width, patchSize(tower), 0.02),
});

/**
 * Mean squared error of the hidden pixels.
 *
 * @param tower parameters of the video tower. @param decoder of `initialiseMaskedVideo`.
 * @param videos `[B, F, H, W, C]` in [-1, 1]. @param visible `[B, V, P]` rows with a single 1: the tubes that are shown.
 */
export function maskedVideoLoss(
  config: MaskedVideoConfig,
  tower: Branch<tf.Tensor>,
  decoder: Branch<tf.Tensor>,
  videos: tf.Tensor,
  visible: tf.Tensor,
): tf.Scalar {
  const patches = patchify(config.tower, videos);
  const tokens = patches.shape[1]!;
  const {cls, tokens: states} = visibleTower(config.tower, tower, patches, visible);
  const shown = placeTubes(linear(branch(decoder, 'in'), states), visible);
  const hiddenOnes = hiddenTokens(visible, tokens);
  const clip = tf.expandDims(linear(branch(decoder, 'clip'), cls), 1);
  const guess = tf.mul(hiddenOnes, tf.add(clip, weight(decoder, 'hidden')));
  const x = tf.add(tf.add(shown, guess), positions(branch(decoder, 'position')));
  const painted = linear(
    branch(decoder, 'out'),
    layerNorm(transformerBlock(branch(branch(decoder, 'blocks'), '0'), x, config.heads)),
  );
  return hiddenError(painted, patches, hiddenOnes, visible);
}

/**
 * Mean squared error of the hidden pixels.
 *
 * @param painted and @param patches `[B, T·P, patch]`. @param hidden of `hiddenTokens`. @param visible `[B, V, P]`.
 */
export function hiddenError(painted: tf.Tensor, patches: tf.Tensor, hidden: tf.Tensor, visible: tf.Tensor): tf.Scalar {
  const count = patches.size * (1 - visible.shape[1]! / visible.shape[2]!);
  return tf.div(tf.sum(tf.mul(tf.square(tf.sub(painted, patches)), hidden)), count);
}

/** `[B, T·P, 1]`: 1 where a token is hidden. */
export function hiddenTokens(visible: tf.Tensor, tokens: number): tf.Tensor {
  const [batch, , tubes] = visible.shape as [number, number, number];
  const perFrame = tf.broadcastTo(tf.expandDims(tf.sub(1, tf.sum(visible, 1)), 1), [batch, tokens / tubes, tubes]);
  return tf.reshape(perFrame, [batch, tokens, 1]);
}
