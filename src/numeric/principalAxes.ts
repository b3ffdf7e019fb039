/** The directions in which a set of vectors varies most: a picture of them in a plane. */
import {moments, sizeOfRows, type Rows} from './moments.js';
import {symmetricEigen} from './symmetricEigen.js';

/** Where vectors lie along given directions: `[n, axes]`. */
export type Projection = (rows: Rows) => Float64Array;

/**
 * Principal component analysis: the `axes` directions of largest variance, the largest first, through the mean.
 *
 * @param rows `[n, E]`, n ≥ 2.
 * @returns the projection of any vectors of width E onto them. The sign of an axis is arbitrary.
 * @source Pearson 1901, "On lines and planes of closest fit to systems of points in space".
 * @throws ShapeError if there are fewer than two vectors.
 */
export function principalAxes(rows: Rows, axes: number): Projection {
  const {mean, covariance} = moments(rows);
  const width = mean.length;
  const {vectors} = symmetricEigen(covariance, width);
  return (others) => {
    const {count} = sizeOfRows('principalAxes', others);
    const out = new Float64Array(count * axes);
    for (let i = 0; i < count; i++) {
      for (let k = 0; k < axes; k++) {
        let along = 0;
        const axis = (width - 1 - k) * width;
        for (let d = 0; d < width; d++) along += (others.data[i * width + d] - mean[d]) * vectors[axis + d];
        out[i * axes + k] = along;
      }
    }
    return out;
  };
}
