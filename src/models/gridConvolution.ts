/**
 * Depthwise convolution on a grid of video tokens: 3×3 in space, then 3 taps in time, both with zero padding.
 *
 * Each channel's kernel is spread into the banded matrix of the convolution, so that forward and both gradients are stacked
 * matrix products. On a grid this small (6×6) the matrix has 36×36 entries and the products cost a few per cent of a block,
 * where shifted products cost 27 passes over memory and the runtime's convolution wants another layout.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {Branch} from '../tensor/tree.js';
import {weight} from './layers.js';

/**
 * `bands[tap][from][to]` = 1 where output position `to` reads input position `from` through kernel tap `tap`.
 *
 * @param rows, columns of the grid; `radius` 1 means 3 taps along an axis.
 */
function spatialBands(rows: number, columns: number): number[][] {
  const n = rows * columns;
  return Array.from({length: 9}, (_, tap) => {
    const [dy, dx] = [Math.floor(tap / 3) - 1, (tap % 3) - 1];
    const band = new Array<number>(n * n).fill(0);
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        const [fromY, fromX] = [y + dy, x + dx];
        if (fromY < 0 || fromX < 0 || fromY >= rows || fromX >= columns) continue;
        band[(fromY * columns + fromX) * n + y * columns + x] = 1;
      }
    }
    return band;
  });
}

function temporalBands(frames: number): number[][] {
  return Array.from({length: 3}, (_, tap) => {
    const band = new Array<number>(frames * frames).fill(0);
    for (let t = 0; t < frames; t++) {
      const from = t + tap - 1;
      if (from >= 0 && from < frames) band[t * frames + from] = 1;
    }
    return band;
  });
}

/**
 * Convolves tokens on their grid.
 *
 * @param params `space [C, 9]`, `bias [C]`, `time [C, 3]`.
 * @param x `[B, T·Y·X, C]`, tokens ordered (t, y, x).
 * @param grid `[T, Y, X]`.
 */
export function gridConvolution(params: Branch<tf.Tensor>, x: tf.Tensor, grid: readonly [number, number, number]): tf.Tensor {
  const [t, rows, columns] = grid;
  const plane = rows * columns;
  const [batch, , channels] = x.shape as [number, number, number];
  const space = tf.reshape(tf.matMul(weight(params, 'space') as tf.Tensor2D, tf.tensor2d(spatialBands(rows, columns))), [
    channels,
    plane,
    plane,
  ]);
  const time = tf.reshape(tf.matMul(weight(params, 'time') as tf.Tensor2D, tf.tensor2d(temporalBands(t))), [channels, t, t]);
  // [C, T, B, plane]: each channel's images are the rows of one product.
  const planes = tf.transpose(tf.reshape(x, [batch, t, plane, channels]), [3, 1, 0, 2]);
  const convolved = tf.add(
    tf.matMul(tf.reshape(planes, [channels, t * batch, plane]), space),
    tf.reshape(weight(params, 'bias'), [channels, 1, 1]),
  );
  const mixed = tf.matMul(time, tf.reshape(convolved, [channels, t, batch * plane]));
  return tf.reshape(tf.transpose(tf.reshape(mixed, [channels, t, batch, plane]), [2, 1, 3, 0]), [batch, t * plane, channels]);
}
