/** Affine maps: T(y) = y·M + b. */
import * as tf from '@tensorflow/tfjs-core';
import {ShapeError} from '../../errors.js';
import {float32} from '../../tensor/ndarray.js';
import type {Branch, Params} from '../../tensor/tree.js';

/** `y [B, E]` → `[B, E]`; parameters `matrix [E, E]`, `shift [E]`. */
export const affine = (params: Branch<tf.Tensor>, y: tf.Tensor): tf.Tensor =>
  tf.add(tf.matMul(y as tf.Tensor2D, params['matrix'] as tf.Tensor2D), params['shift'] as tf.Tensor);

/**
 * Parameters of y ↦ (y − from)·M + to.
 *
 * @param matrix M `[E, E]`, for row vectors. @param from and @param to `[E]`.
 * @throws ShapeError if the widths differ.
 */
export function affineParams(matrix: Float64Array, from: Float64Array, to: Float64Array): Params {
  const width = from.length;
  if (to.length !== width || matrix.length !== width * width) {
    throw new ShapeError(`affine map: wanted texts and videos of one width; got ${width} and ${to.length}.`);
  }
  const shift = Float64Array.from(to, (t, j) => {
    let moved = 0;
    for (let i = 0; i < width; i++) moved += from[i] * matrix[i * width + j];
    return t - moved;
  });
  return {matrix: float32(matrix, [width, width]), shift: float32(shift)};
}
