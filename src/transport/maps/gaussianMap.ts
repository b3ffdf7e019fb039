/** The optimal map between two Gaussians, in closed form: the best that mean and covariance alone can say. */
import type {Params} from '../../tensor/tree.js';
import {moments, type Rows} from '../../numeric/moments.js';
import {symmetricEigen, symmetricFunction} from '../../numeric/symmetricEigen.js';
import {product} from '../../numeric/squareMatrix.js';
import {affineParams} from './affine.js';

/** Variances below this share of the largest, or of the mean's square (rounding of float32), are taken for nothing. */
const NEGLIGIBLE = 1e-10;
const ROUNDING = 1e-12;

/**
 * T(y) = μ_x + A·(y − μ_y),   A = Σ_y^-½·(Σ_y^½·Σ_x·Σ_y^½)^½·Σ_y^-½
 *
 * It carries mean and covariance of the texts exactly to those of the videos, as far as the texts reach: along directions in which
 * they do not vary, the inverse is taken to be 0.
 *
 * @param text `[n, E]`. @param video `[m, E]`. No pairs are used.
 * @returns parameters of `affine`: `matrix [E, E]` and `shift [E]`.
 * @source Olkin & Pukelsheim 1982; Peyré & Cuturi 2019, Computational optimal transport, arXiv:1803.00567, remark 2.31.
 * @throws ShapeError if the widths differ, or a set has fewer than two vectors.
 */
export function fitGaussianMap(text: Rows, video: Rows): Params {
  const [y, x] = [moments(text), moments(video)];
  const width = y.mean.length;
  const ofText = symmetricEigen(y.covariance, width);
  const floor = NEGLIGIBLE * ofText.values[width - 1] + ROUNDING * y.mean.reduce((sum, m) => sum + m * m, 0);
  const root = symmetricFunction(ofText, (v) => Math.sqrt(Math.max(0, v)));
  const inverseRoot = symmetricFunction(ofText, (v) => (v > floor ? 1 / Math.sqrt(v) : 0));
  const middle = symmetricFunction(symmetricEigen(product(product(root, x.covariance, width), root, width), width), (v) =>
    Math.sqrt(Math.max(0, v)),
  );
  return affineParams(product(product(inverseRoot, middle, width), inverseRoot, width), y.mean, x.mean);
}
