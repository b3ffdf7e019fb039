/**
 * Masked language modelling on the fusion: some words of a caption are hidden, and are guessed from the rest and from the clip.
 * Matching says one bit of a whole caption; this asks of every word what the clip says of it, also of those that say how two
 * objects stand.
 *
 * @source Li et al. 2021, ALBEF, arXiv:2107.07651, section 3.2; Wang et al. 2024, InternVideo2, arXiv:2403.15377, section 3.2.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {Branch, Params} from '../tensor/tree.js';
import type {CaptionTowerConfig} from './captionTower.js';
import type {Initialiser} from './initialise.js';
import {branch, linear} from './layers.js';

/** Fresh parameters of the decoder: what stands in the place of a hidden word, and the head. */
export const initialiseMaskedWords = (init: Initialiser, {width, words}: CaptionTowerConfig): Params => ({
  hidden: init.normal([width], 1),
  head: init.normalLinear(width, words, 0.02),
});

/**
 * Mean of −log softmax over the hidden words.
 *
 * @param states of the fusion `[B, N, D]`. @param tokens `[B, N]` int32: the words as they were. @param hidden `[B, N]`: 1 where
 * a word is hidden.
 */
export function maskedWordsLoss(
  {words}: CaptionTowerConfig,
  decoder: Branch<tf.Tensor>,
  states: tf.Tensor,
  tokens: tf.Tensor,
  hidden: tf.Tensor,
): tf.Scalar {
  const logits = linear(branch(decoder, 'head'), states);
  const own = tf.sum(tf.mul(logits, tf.oneHot(tf.cast(tokens, 'int32'), words)), 2);
  return tf.div(tf.sum(tf.mul(tf.sub(tf.logSumExp(logits, 2), own), hidden)), tf.maximum(tf.sum(hidden), 1));
}
