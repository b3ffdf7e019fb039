/**
 * Depthwise convolution on a grid of video tokens: 3×3 in space, then 3 taps in time, both with zero padding.
 *
 * Each channel's kernel is spread into the banded matrix of the convolution, so that forward and both gradients are stacked
 * matrix products. On a grid this small (6×6) the matrix has 36×36 entries and the products cost a few per cent of a block,
 * where shifted products cost 27 passes over memory and the runtime's convolution wants another layout.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {Branch} from '../tensor/tree.js';
import {spatialBands, temporalBands} from './bands.js';
import {weight} from './layers.js';

/**
 * Convolves tokens on their grid.
 *
 * @param params `space [C, 9]`, `bias [C]`, `time [C, 3]`.
 * @param x `[B, T·Y·X, C]`, tokens ordered (t, y, x).
 * @param grid `[T, Y, X]`.
 */
export function gridConvolution(params: Branch<tf.Tensor>, x: tf.Tensor, grid: readonly [number, number, number]): tf.Tensor {
  const [frames, rows, columns] = grid;
  const plane = rows * columns;
  const [batch, , channels] = x.shape as [number, number, number];
  const banded = (kernel: tf.Tensor, bands: number[][], n: number): tf.Tensor =>
    tf.reshape(tf.matMul(kernel as tf.Tensor2D, tf.tensor2d(bands)), [channels, n, n]);
  const space = banded(weight(params, 'space'), spatialBands(rows, columns), plane);
  const time = banded(weight(params, 'time'), temporalBands(frames), frames);
  // To [C, T, B, plane] and back in two moves, of whole frames and of one axis: the runtime is faster at these than at one of both.
  const framesFirst = tf.transpose(tf.reshape(x, [batch, frames, plane * channels]), [1, 0, 2]);
  const planes = tf.transpose(tf.reshape(framesFirst, [frames * batch * plane, channels]), [1, 0]);
  const convolved = tf.add(
    tf.matMul(tf.reshape(planes, [channels, frames * batch, plane]), space),
    tf.reshape(weight(params, 'bias'), [channels, 1, 1]),
  );
  const mixed = tf.matMul(time, tf.reshape(convolved, [channels, frames, batch * plane]));
  const back = tf.transpose(tf.reshape(mixed, [channels, frames * batch * plane]), [1, 0]);
  const batchFirst = tf.transpose(tf.reshape(back, [frames, batch, plane * channels]), [1, 0, 2]);
  return tf.reshape(batchFirst, [batch, frames * plane, channels]);
}
