/** Clouds of points for tests of maps and of what measures them. */
import {ndarray, type NdArray} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';

/** Standard normal points `[n, width]`. */
export const normalCloud = (n: number, width: number, seed: number): NdArray<'float32'> =>
  ndarray('float32', [n, width], normals({seed, purpose: 'cloud'}, new Float32Array(n * width)));

/** Each point times a matrix (row vectors, so y = x·A), plus a shift. */
export function affineCloud(
  points: NdArray<'float32'>,
  matrix: readonly number[][],
  shift: readonly number[],
): NdArray<'float32'> {
  const [n, width] = points.shape;
  const outputs = shift.length;
  const data = new Float32Array(n * outputs);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < outputs; j++) {
      let sum = shift[j];
      for (let k = 0; k < width; k++) sum += points.data[i * width + k] * matrix[k][j];
      data[i * outputs + j] = sum;
    }
  }
  return ndarray('float32', [n, outputs], data);
}

/** A product of turns in the planes of neighbouring axes: an orthogonal matrix without zeros to speak of. */
export function turn(width: number, angle: number): number[][] {
  let matrix: number[][] = Array.from({length: width}, (_, i) => Array.from({length: width}, (_, j) => (i === j ? 1 : 0)));
  for (let k = 0; k + 1 < width; k++) {
    const [cos, sin] = [Math.cos(angle + k), Math.sin(angle + k)];
    matrix = matrix.map((row) =>
      row.map((x, j) => (j === k ? cos * x - sin * row[k + 1] : j === k + 1 ? sin * row[k] + cos * x : x)),
    );
  }
  return matrix;
}
