/** The Fréchet distance of two sets of vectors: how far apart their Gaussians are. */
import {ShapeError} from '../../errors.js';
import {moments, type Moments, type Rows} from '../../numeric/moments.js';
import {product, trace} from '../../numeric/squareMatrix.js';
import {symmetricEigen, symmetricFunction} from '../../numeric/symmetricEigen.js';

/**
 * The squared 2-Wasserstein (Bures) distance of two Gaussians:
 *
 *   |μ_x − μ_y|² + Tr(Σ_x + Σ_y − 2·(Σ_x^½·Σ_y·Σ_x^½)^½)
 *
 * Eigenvalues below 0 are rounding and count as 0, so singular covariances (fewer vectors than dimensions) are no trouble.
 *
 * @returns ≥ 0, in squared units of the vectors.
 * @source Dowson & Landau 1982; Heusel et al. 2017, arXiv:1706.08500 (where it is called FID).
 * @throws ShapeError if the widths differ.
 */
export function gaussianDistance(x: Moments, y: Moments): number {
  const n = x.mean.length;
  if (n !== y.mean.length) {
    throw new ShapeError(`gaussianDistance: wanted Gaussians of one width; got ${n} and ${y.mean.length}.`);
  }
  const root = symmetricFunction(symmetricEigen(x.covariance, n), (value) => Math.sqrt(Math.max(0, value)));
  const overlap = symmetricEigen(product(product(root, y.covariance, n), root, n), n).values.reduce(
    (sum, v) => sum + Math.sqrt(Math.max(0, v)),
    0,
  );
  const distance = x.mean.reduce((sum, m, i) => sum + (m - y.mean[i]) ** 2, 0);
  const traces = trace(x.covariance, n) + trace(y.covariance, n);
  return distance + Math.max(0, traces - 2 * overlap);
}

/**
 * Fréchet distance of the Gaussians that have the sets' means and unbiased covariances.
 *
 * It is biased upwards, the more the fewer vectors there are: compare only at equal numbers of them.
 *
 * @param x `[n, E]`. @param y `[m, E]`.
 * @returns ≥ 0; the same as pytorch-fid and torchmetrics compute of their features.
 * @throws ShapeError if the widths differ, or if a set has fewer than two vectors.
 */
export const frechetDistance = (x: Rows, y: Rows): number => gaussianDistance(moments(x), moments(y));
