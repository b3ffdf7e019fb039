/** Operations on clips `[B, F, H, W, C]` that tfjs has for pictures only. */
import * as tf from '@tensorflow/tfjs-core';

/**
 * Depthwise convolution in three dimensions: each channel by filters of its own, one tap in time after the other.
 *
 * @param x `[B, F, H, W, C]`.
 * @param filter `[kt, kh, kw, C, M]`; the result has C·M channels, those of one input channel side by side.
 * @param padding zeros before and after along time, height and width.
 * @returns `[B, F', H', W', C·M]`.
 */
export function depthwiseConv3d(x: tf.Tensor, filter: tf.Tensor, padding: readonly [number, number, number]): tf.Tensor {
  const [taps, ...plane] = filter.shape as [number, number, number, number, number];
  const around = (n: number): [number, number] => [n, n];
  const padded = tf.pad(x, [[0, 0], around(padding[0]), around(padding[1]), around(padding[2]), [0, 0]]);
  const [batch, frames, height, width, channels] = padded.shape as [number, number, number, number, number];
  const count = frames - taps + 1;
  const parts = Array.from({length: taps}, (_, tap) => {
    const seen = tf.reshape(tf.slice(padded, [0, tap, 0, 0, 0], [batch, count, height, width, channels]), [
      batch * count,
      height,
      width,
      channels,
    ]);
    const weights = tf.reshape(tf.slice(filter, [tap, 0, 0, 0, 0], [1, ...plane]), plane);
    return tf.depthwiseConv2d(seen as tf.Tensor4D, weights as tf.Tensor4D, 1, 'valid');
  });
  const sum = parts.reduce<tf.Tensor>((a, b) => tf.add(a, b), parts.shift()!);
  return tf.reshape(sum, [batch, count, ...sum.shape.slice(1)]);
}

/**
 * Repeats pixels: every picture `scale` times as high and wide.
 *
 * @param x `[B, F, H, W, C]`. @param scale a whole number.
 */
export function upsampleNearest(x: tf.Tensor, scale: number): tf.Tensor {
  const [batch, frames, height, width, channels] = x.shape as [number, number, number, number, number];
  const opened = tf.reshape(x, [batch * frames, height, 1, width, 1, channels]);
  const repeated = tf.broadcastTo(opened, [batch * frames, height, scale, width, scale, channels] as never);
  return tf.reshape(repeated, [batch, frames, height * scale, width * scale, channels]);
}
