/**
 * Learned positions of a token grid, which begin as sines and cosines about as large as what they are added to. Where they began
 * as noise of deviation .02, as is usual, a video tower never learnt them (their deviation was .06 at the end, a tenth of the
 * content's): nothing of a token told its column, and so no caption could be checked for what is left of what.
 *
 * @source Vaswani et al. 2017, arXiv:1706.03762, section 3.5 (sines and cosines); He et al. 2022, arXiv:2111.06377, appendix A.1
 * (for the rows and columns of an image, beside masked modelling).
 */
import * as tf from '@tensorflow/tfjs-core';
import {float32, type NdArray} from '../tensor/ndarray.js';
import type {Branch, Params} from '../tensor/tree.js';
import {weight} from './layers.js';

/** Base of the frequencies: the grid has at most a few dozen positions along an axis. */
const BASE = 30;

/** Sines, then cosines of one coordinate at `width`/2 frequencies from 1 to 1/BASE. */
function waves(position: number, width: number, amplitude: number): number[] {
  const half = width / 2;
  const angles = Array.from({length: half}, (_, i) => position * BASE ** (-i / Math.max(1, half - 1)));
  return [...angles.map(Math.sin), ...angles.map(Math.cos)].map((v) => amplitude * v);
}

const table = (positions: readonly number[][], width: number): NdArray<'float32'> =>
  float32(positions.flat(), [positions.length, width]);

/**
 * Initial positions: `space [Y·X, D]`, of which one half tells the row and the other the column, and `time [T, D]`.
 *
 * @param grid `[T, Y, X]`. @param width D, a multiple of 4.
 * @param amplitude of the waves: space and time together have a root mean square as large.
 */
export function initialisePositions(
  [frames, rows, columns]: readonly [number, number, number],
  width: number,
  amplitude = 0.5,
): Params {
  const places = Array.from({length: rows * columns}, (_, i) => [
    ...waves(Math.floor(i / columns), width / 2, amplitude),
    ...waves(i % columns, width / 2, amplitude),
  ]);
  const times = Array.from({length: frames}, (_, t) => waves(t, width, amplitude));
  return {space: table(places, width), time: table(times, width)};
}

/** `[T·Y·X, D]`. */
export function positions(params: Branch<tf.Tensor>): tf.Tensor {
  const [space, time] = [weight(params, 'space'), weight(params, 'time')];
  const [[tubes, d], [frames]] = [space.shape as [number, number], time.shape as [number, number]];
  return tf.reshape(tf.add(tf.reshape(space, [1, tubes, d]), tf.reshape(time, [frames, 1, d])), [frames * tubes, d]);
}
