/**
 * Normalising scores among the samples of one prompt, so that rewards of different sizes can be added: mean 0, deviation 1 in
 * each group. What remains says which sample of a prompt is better, and no longer how good any of them is.
 *
 * @source Liu et al. 2026, "GDPO", arXiv:2601.05242: each reward is normalised by itself, then they are added.
 */
import * as tf from '@tensorflow/tfjs-core';
import {groupAdvantages} from '../numeric/advantages.js';
import {detach} from '../numeric/detach.js';
import {ndarray, type NdArray} from '../tensor/ndarray.js';

/** Added to a group's deviation, in the unit of the score. */
const EPSILON = 1e-6;

/**
 * (x − mean)/(std + 1e-6) with the mean and the population deviation of each group; 0 where a group's scores are all equal, and
 * for a group of one.
 *
 * @param groups the name of each score's group, usually its prompt's id, in any order.
 */
export const groupNormalise = (scores: ArrayLike<number>, groups: readonly string[]): Float64Array =>
  groupAdvantages(scores, groups, {epsilon: EPSILON});

/**
 * The layout of groups as a matrix `[B, B]` that takes scores to the mean of each one's group.
 *
 * @param groups the name of each score's group.
 */
export function groupMeans(groups: readonly string[]): NdArray<'float32'> {
  const n = groups.length;
  const sizes = new Map<string, number>();
  for (const group of groups) sizes.set(group, (sizes.get(group) ?? 0) + 1);
  const data = new Float32Array(n * n);
  groups.forEach((group, i) => {
    for (let j = 0; j < n; j++) if (groups[j] === group) data[i * n + j] = 1 / sizes.get(group)!;
  });
  return ndarray('float32', [n, n], data);
}

/**
 * The same in a graph. Mean and deviation are constants to the gradient: the normalised scores of a group sum to 0 whatever the
 * videos are, so that the full gradient of their sum would be 0.
 *
 * @param scores `[B]`.
 * @param means `[B, B]` from `groupMeans`.
 */
export function groupNormaliseTensor(scores: tf.Tensor, means: tf.Tensor): tf.Tensor {
  const meanOf = (x: tf.Tensor): tf.Tensor => tf.sum(tf.mul(means, tf.expandDims(x, 0)), 1);
  const mean = detach(meanOf(scores));
  const centred = tf.sub(scores, mean);
  const std = tf.sqrt(meanOf(tf.square(detach(centred))));
  // A deviation that is rounding alone counts as none: dividing by it would give a gradient of a million.
  const told = tf.cast(tf.greater(std, tf.mul(tf.abs(mean), EPSILON)), 'float32');
  return tf.mul(centred, tf.div(told, tf.add(std, EPSILON)));
}
