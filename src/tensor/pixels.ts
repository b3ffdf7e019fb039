/** Pixels in their two forms: bytes outside, numbers in [-1, 1] inside; 0 is -1 and 255 is 1. */
import * as tf from '@tensorflow/tfjs-core';
import type {NdArray} from './ndarray.js';

/**
 * Videos in 8 bits.
 *
 * @param videos of any shape, float32 in [-1, 1]; what is outside is clamped, NaN becomes black.
 * @returns the same shape: round((v + 1)·127.5).
 */
export function toBytes(videos: NdArray<'float32'>): NdArray<'uint8'> {
  // Uint8ClampedArray clamps, and rounds to the nearest.
  const data = new Uint8ClampedArray(videos.data.length);
  for (let i = 0; i < data.length; i++) data[i] = (videos.data[i] + 1) * 127.5;
  return {dtype: 'uint8', shape: videos.shape, data: new Uint8Array(data.buffer)};
}

/** Bytes as numbers in [-1, 1]. */
export const fromBytes = ({shape, data}: NdArray<'uint8'>): NdArray<'float32'> => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(data, (x) => x / 127.5 - 1),
});

/** The same in a graph. */
export const asVideo = (bytes: tf.Tensor): tf.Tensor => tf.sub(tf.mul(tf.cast(bytes, 'float32'), 1 / 127.5), 1);
