/** Mean and covariance of a set of vectors, in float64. */
import {ShapeError} from '../errors.js';

/** Vectors as the rows of a matrix `[n, width]`; an `NdArray` of float32 is one. */
export interface Rows {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** First and second central moment of a set of vectors. */
export interface Moments {
  /** `[width]`. */
  readonly mean: Float64Array;
  /** `[width, width]`, divided by n − 1. */
  readonly covariance: Float64Array;
}

/**
 * Number of rows and their width.
 *
 * @throws ShapeError if it is not a matrix; `where` names the caller.
 */
export function sizeOfRows(where: string, {shape, data}: Rows): {count: number; width: number} {
  const [count, width] = shape;
  if (shape.length !== 2 || data.length !== count * width) {
    throw new ShapeError(`${where}: wanted vectors as rows [n, width]; got shape [${shape.join(', ')}].`);
  }
  return {count, width};
}

/**
 * Mean and unbiased covariance of rows.
 *
 * @throws ShapeError if it is not a matrix of at least two rows.
 */
export function moments(rows: Rows): Moments {
  const {count, width} = sizeOfRows('moments', rows);
  if (count < 2) throw new ShapeError(`moments: wanted at least two vectors; got ${count}.`);
  const {data} = rows;
  const mean = new Float64Array(width);
  for (let i = 0, at = 0; i < count; i++) for (let j = 0; j < width; j++) mean[j] += data[at++] / count;
  const covariance = new Float64Array(width * width);
  const centred = new Float64Array(width);
  for (let i = 0, at = 0; i < count; i++) {
    for (let j = 0; j < width; j++) centred[j] = data[at++] - mean[j];
    for (let j = 0; j < width; j++) {
      const scaled = centred[j] / (count - 1);
      for (let k = 0; k <= j; k++) covariance[j * width + k] += scaled * centred[k];
    }
  }
  for (let j = 0; j < width; j++) for (let k = 0; k < j; k++) covariance[k * width + j] = covariance[j * width + k];
  return {mean, covariance};
}
