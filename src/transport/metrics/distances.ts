/** Distances between vectors, and the nearest of them. Float64 sums, so that a small difference of large vectors is kept. */
import {ShapeError} from '../../errors.js';
import {sizeOfRows, type Rows} from '../../numeric/moments.js';

/** Σ_d (x_d − y_d)² between row i of `x` and row j of `y`. */
function squaredDistance(x: ArrayLike<number>, i: number, y: ArrayLike<number>, j: number, width: number): number {
  let sum = 0;
  for (let a = i * width, b = j * width, end = a + width; a < end; a++, b++) {
    const difference = x[a] - y[b];
    sum += difference * difference;
  }
  return sum;
}

/**
 * Squared distances of all pairs of distinct rows: those of row 1 with 0, of row 2 with 0 and 1, ….
 *
 * @returns `[n·(n − 1)/2]`.
 */
export function pairDistances(rows: Rows): Float64Array {
  const {count, width} = sizeOfRows('pairDistances', rows);
  const out = new Float64Array((count * (count - 1)) / 2);
  for (let i = 0, at = 0; i < count; i++) {
    for (let j = 0; j < i; j++) out[at++] = squaredDistance(rows.data, i, rows.data, j, width);
  }
  return out;
}

/**
 * The `k` nearest other rows of each row, nearest first; of equally far ones the earlier.
 *
 * @param k cut to n − 1.
 * @returns `[n, k]` indices, and the k in use.
 */
export function nearestNeighbours(rows: Rows, k: number): {indices: Int32Array; k: number} {
  const {count, width} = sizeOfRows('nearestNeighbours', rows);
  const used = Math.max(0, Math.min(k, count - 1));
  const indices = new Int32Array(count * used);
  const distances = new Float64Array(used);
  for (let i = 0; i < count; i++) {
    let found = 0;
    const mine = indices.subarray(i * used, (i + 1) * used);
    for (let j = 0; j < count; j++) {
      if (j === i) continue;
      const distance = squaredDistance(rows.data, i, rows.data, j, width);
      if (found === used && !(distance < distances[used - 1])) continue;
      let at = found < used ? found++ : used - 1;
      for (; at > 0 && distances[at - 1] > distance; at--) {
        distances[at] = distances[at - 1];
        mine[at] = mine[at - 1];
      }
      distances[at] = distance;
      mine[at] = j;
    }
  }
  return {indices, k: used};
}

/** Rows scaled to length 1; those of length 0 stay. */
export function unitRows(rows: Rows): Rows {
  const {count, width} = sizeOfRows('unitRows', rows);
  const data = Float64Array.from(rows.data);
  for (let i = 0; i < count; i++) {
    let squares = 0;
    for (let at = i * width; at < (i + 1) * width; at++) squares += data[at] * data[at];
    if (squares === 0) continue;
    const length = Math.sqrt(squares);
    for (let at = i * width; at < (i + 1) * width; at++) data[at] /= length;
  }
  return {shape: rows.shape, data};
}

/**
 * For each query the row of a gallery with the largest cosine; the earlier of equals.
 *
 * @returns `[queries]` indices into the gallery.
 * @throws ShapeError if the widths differ or the gallery is empty.
 */
export function mostSimilar(queries: Rows, gallery: Rows): Int32Array {
  const {count, width} = sizeOfRows('mostSimilar', queries);
  const {data: directions, shape} = unitRows(gallery);
  if (width !== shape[1] || shape[0] === 0) {
    throw new ShapeError(
      `mostSimilar: wanted a gallery of vectors as wide as the queries; got [${shape.join(', ')}] for [${queries.shape.join(', ')}].`,
    );
  }
  return Int32Array.from({length: count}, (_, i) => {
    // The query's own length changes no order.
    let [best, bestProduct] = [0, -Infinity];
    for (let j = 0; j < shape[0]; j++) {
      let product = 0;
      for (let d = 0; d < width; d++) product += queries.data[i * width + d] * directions[j * width + d];
      if (product > bestProduct) [best, bestProduct] = [j, product];
    }
    return best;
  });
}
