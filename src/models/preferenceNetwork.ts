/** A small network on what an encoder says of a clip and of its caption: the better a person likes the clip, the higher. */
import * as tf from '@tensorflow/tfjs-core';
import type {Branch, Params} from '../tensor/tree.js';
import {perceptron, perceptronParams} from '../transport/maps/perceptron.js';
import {initialiser} from './initialise.js';

/**
 * Fresh parameters.
 *
 * @param width E, of the encoder's common space. @param hidden width of the two hidden layers.
 */
export function preferenceParams(width: number, hidden: number, seed: number): Params {
  const draws = initialiser(seed);
  return perceptronParams({inputs: 3 * width, hidden, outputs: 1}, (from, to) => draws.linear(from, to));
}

/**
 * r(x, y): of clips and captions in the common space, `[B, E]` both, and of their product, which tells how the two agree.
 *
 * @returns `[B]`; only differences between clips of one caption mean something: the logarithm of the odds that one is preferred.
 */
export const preferenceScore = (params: Branch<tf.Tensor>, text: tf.Tensor, video: tf.Tensor): tf.Tensor =>
  tf.squeeze(perceptron(params, tf.concat([video, text, tf.mul(video, text)], 1)), [1]);
