/**
 * Resizing images as products with a matrix an axis. A resize is linear and works on rows and columns apart, so forward and
 * backward are two stacked products each, in the layout that images have already; good for the sizes of latents and clips.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {Gradient} from './gradient.js';

/** How a resize picks: tfjs' own attributes. */
export interface ResizeOptions {
  readonly nearest: boolean;
  readonly alignCorners: boolean;
  readonly halfPixelCenters: boolean;
}

/** `[to][from]`: the weight of each input position in each output position; rows sum to 1. */
export function resizeMatrix(from: number, to: number, {nearest, alignCorners, halfPixelCenters}: ResizeOptions): number[][] {
  const scale = alignCorners && to > 1 ? (from - 1) / (to - 1) : from / to;
  return Array.from({length: to}, (_, i) => {
    const row = new Array<number>(from).fill(0);
    if (nearest) {
      const position = halfPixelCenters ? scale * (i + 0.5) : scale * i;
      row[Math.min(from - 1, alignCorners ? Math.round(position) : Math.floor(position))] = 1;
      return row;
    }
    const position = halfPixelCenters ? scale * (i + 0.5) - 0.5 : scale * i;
    const low = Math.max(0, Math.floor(position));
    const high = Math.min(from - 1, Math.max(0, Math.ceil(position)));
    row[low] = row[low] + 1 - (position - low);
    row[high] = row[high] + position - low;
    return row;
  });
}

/** Transposed products: each output's gradient goes back to the positions it was made of. */
const backward = (nearest: boolean): Gradient => ({
  inputsToSave: ['images'],
  gradFunc: (dy, [images], attrs) => ({
    images: () => {
      const [batch, height, width, channels] = images.shape as [number, number, number, number];
      const [, toHeight, toWidth] = (dy as tf.Tensor).shape as [number, number, number, number];
      const options = {
        nearest,
        alignCorners: attrs['alignCorners'] as boolean,
        halfPixelCenters: attrs['halfPixelCenters'] as boolean,
      };
      const rows = tf.tensor2d(resizeMatrix(height, toHeight, options), [toHeight, height]);
      const columns = tf.tensor2d(resizeMatrix(width, toWidth, options), [toWidth, width]);
      const tall = tf.matMul(rows, tf.reshape(dy as tf.Tensor, [batch, toHeight, toWidth * channels]), true, false);
      const wide = tf.matMul(columns, tf.reshape(tall, [batch * height, toWidth, channels]), true, false);
      return tf.reshape(wide, [batch, height, width, channels]);
    },
  }),
});

/** Their gradients. */
export const resize: Readonly<Record<string, Gradient>> = {
  ResizeBilinear: backward(false),
  ResizeNearestNeighbor: backward(true),
};
