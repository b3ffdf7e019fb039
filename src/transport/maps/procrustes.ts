/** The rotation, scale and shift that carry captions nearest to their own videos: a map that cannot bend anything. */
import {ShapeError} from '../../errors.js';
import {moments, sizeOfRows, type Rows} from '../../numeric/moments.js';
import {symmetricEigen, symmetricFunction} from '../../numeric/symmetricEigen.js';
import type {Params} from '../../tensor/tree.js';
import {product, trace, transposed} from '../../numeric/squareMatrix.js';
import {affineParams} from './affine.js';

/** How much of the identity is mixed into the covariance: directions about which the pairs say nothing are not turned. */
const TOWARDS_IDENTITY = 1e-6;
/** Share of the mean's square that a variance must exceed. */
const ROUNDING = 1e-12;
/** Newton-Schulz iterations at most: directions that pairs say little about grow by a half in each. */
const POLISHING = 100;

/** The orthogonal matrix nearest to `m`: m·(mᵀm)^-½. */
export function nearestRotation(m: Float64Array, n: number): Float64Array {
  const largest = m.reduce((big, v) => Math.max(big, Math.abs(v)), 0);
  const mixed = m.map((v, at) => (largest > 0 ? v / largest : 0) + (at % (n + 1) === 0 ? TOWARDS_IDENTITY : 0));
  const gram = symmetricEigen(product(transposed(mixed, n), mixed, n), n);
  let rotation = product(
    mixed,
    symmetricFunction(gram, (v) => 1 / Math.sqrt(Math.max(v, 1e-18))),
    n,
  );
  // R ← R·(3 − RᵀR)/2 until R is orthogonal to the last digits.
  for (let i = 0, away = Infinity; i < POLISHING && away > 1e-13; i++) {
    away = 0;
    const correction = product(transposed(rotation, n), rotation, n).map((v, at) => {
      const one = at % (n + 1) === 0 ? 1 : 0;
      away = Math.max(away, Math.abs(v - one));
      return (3 * one - v) / 2;
    });
    rotation = product(rotation, correction, n);
  }
  return rotation;
}

/**
 * Orthogonal Procrustes: T(y) = μ_x + s·(y − μ_y)·R with R orthogonal and s ≥ 0, least squares over pairs.
 *
 * @param text `[n, E]` and @param video `[n, E]`: row i of both is a pair.
 * @returns parameters of `affine`.
 * @source Schönemann 1966; with scale and shift: Gower 1975.
 * @throws ShapeError if the shapes differ, or there are fewer than two pairs.
 */
export function fitProcrustes(text: Rows, video: Rows): Params {
  const {count, width} = sizeOfRows('procrustes', text);
  if (video.shape.join() !== text.shape.join()) {
    throw new ShapeError(
      `procrustes: wanted pairs; got texts [${text.shape.join(', ')}] and videos [${video.shape.join(', ')}].`,
    );
  }
  const [y, x] = [moments(text), moments(video)];
  const cross = new Float64Array(width * width);
  for (let i = 0; i < count; i++) {
    for (let a = 0; a < width; a++) {
      const left = text.data[i * width + a] - y.mean[a];
      for (let b = 0; b < width; b++) cross[a * width + b] += left * (video.data[i * width + b] - x.mean[b]);
    }
  }
  const rotation = nearestRotation(cross, width);
  const along = rotation.reduce((sum, r, at) => sum + r * cross[at], 0);
  const spread = (count - 1) * trace(y.covariance, width);
  // Texts that are all the same but for rounding of float32 say nothing about a scale.
  const noise = (count - 1) * ROUNDING * y.mean.reduce((sum, m) => sum + m * m, 0);
  const scale = spread > noise ? Math.max(0, along / spread) : 0;
  return affineParams(
    rotation.map((r) => r * scale),
    y.mean,
    x.mean,
  );
}
