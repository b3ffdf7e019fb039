/**
 * Depthwise 3×3×3 convolution on a grid of video tokens, with zero padding.
 *
 * Each channel's kernel is spread over a frame's positions into banded matrices, one for each tap in time; windows of three
 * frames laid side by side then make the whole convolution, and both of its gradients, one stacked matrix product.
 */
import * as tf from '@tensorflow/tfjs-core';
import {depthwiseBlocked} from '../autograd/fused.js';
import {spatialBands} from './bands.js';

/**
 * Convolves every channel with its own kernel.
 *
 *   y[t, r, c] = Σ w[i, j, k] · x[t + i − 1, r + j − 1, c + k − 1]
 *
 * @param kernel `[C, 27]`, taps ordered (time, row, column).
 * @param x `[B, T·Y·X, C]`, tokens ordered (t, y, x).
 * @param grid `[T, Y, X]`.
 */
export function depthwiseConvolution(kernel: tf.Tensor, x: tf.Tensor, grid: readonly [number, number, number]): tf.Tensor {
  const [frames, rows, columns] = grid;
  const plane = rows * columns;
  const [batch, , channels] = x.shape as [number, number, number];
  // Made anew where it is used: a tensor made outside of a custom gradient's parts does not outlive the forward pass.
  const table = spatialBands(rows, columns);
  const bands = (): tf.Tensor2D => tf.tensor2d(table);
  // A still has no neighbours in time.
  const span = frames === 1 ? 1 : 3;
  const used = frames === 1 ? tf.slice(kernel, [0, 9], [channels, 9]) : kernel;
  /** `[C, span·plane, plane]`: rows are what is read, tap by tap, columns what is written. */
  const banded = (taps: tf.Tensor): tf.Tensor =>
    tf.reshape(tf.matMul(tf.reshape<tf.Rank.R2>(taps, [span * channels, 9]), bands()), [channels, span * plane, plane]);
  const lines = (y: tf.Tensor): tf.Tensor => tf.reshape(tf.transpose(y, [2, 0, 1]), [channels, batch * frames, plane]);
  /** `[B, T·plane, C]` → `[C, B·T, span·plane]`. */
  const windows = (y: tf.Tensor): tf.Tensor => {
    if (span === 1) return lines(y);
    const padded = tf.pad(tf.reshape(tf.transpose(y, [2, 0, 1]), [channels, batch, frames, plane]), [
      [0, 0],
      [0, 0],
      [1, 1],
      [0, 0],
    ]);
    const order = Array.from({length: 3 * frames}, (_, i) => Math.floor(i / 3) + (i % 3));
    return tf.reshape(tf.gather(padded, tf.tensor1d(order, 'int32'), 2), [channels, batch * frames, 3 * plane]);
  };
  const tokens = (y: tf.Tensor): tf.Tensor => tf.transpose(tf.reshape(y, [channels, batch, frames * plane]), [1, 2, 0]);

  const quick = depthwiseBlocked(used, x, grid);
  if (quick) return quick;
  const op = tf.customGrad((...args: unknown[]) => {
    const [w, z, save] = args as [tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    const seen = windows(z);
    save([w, seen]);
    const gradFunc = (dy: tf.Tensor, [taps, read]: tf.Tensor[]): tf.Tensor[] => {
      const perBand = tf.reshape(tf.matMul(read, lines(dy), true, false), [span * channels, plane * plane]);
      const dw = tf.reshape(tf.matMul(perBand as tf.Tensor2D, bands(), false, true), [channels, 9 * span]);
      // The gradient of the input is the convolution with the reversed kernel.
      return [dw, tokens(tf.matMul(windows(dy), banded(tf.reverse(taps, 1))))];
    };
    return {value: tokens(tf.matMul(seen, banded(w))), gradFunc};
  });
  return op(used, x);
}
