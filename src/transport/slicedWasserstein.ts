/** Wasserstein distances on a line, which sorting solves exactly, and their mean over directions. */
import {ConfigError, ShapeError} from '../errors.js';
import {sizeOfRows, type Rows} from '../numeric/moments.js';
import {normals} from '../tensor/random.js';

/** Points on a line. */
export interface LineMeasure {
  readonly points: ArrayLike<number>;
  /** ≥ 0, of any total; default equal. */
  readonly weights?: ArrayLike<number>;
}

/** Points in order with the share of the total up to and including each; the last share is exactly 1. */
function quantiles({points, weights}: LineMeasure): {points: Float64Array; shares: Float64Array} {
  const n = points.length;
  if (n === 0 || (weights && weights.length !== n)) {
    throw new ShapeError(`wasserstein1d: wanted at least one point and a weight for each; got ${n} and ${weights?.length ?? n}.`);
  }
  const order = Array.from({length: n}, (_, i) => i).sort((i, j) => points[i] - points[j]);
  const shares = new Float64Array(n);
  let sum = 0;
  order.forEach((i, at) => {
    const weight = weights?.[i] ?? 1;
    if (!(weight >= 0)) throw new ConfigError(`wasserstein1d: weights must be at least 0; got ${weight}.`);
    sum += weight;
    shares[at] = sum;
  });
  if (!(sum > 0 && sum < Infinity)) throw new ConfigError(`wasserstein1d: weights must have a positive total; got ${sum}.`);
  return {points: Float64Array.from(order, (i) => points[i]), shares: shares.map((s, at) => (at === n - 1 ? 1 : s / sum))};
}

/**
 * W_p^p of two measures on a line, each scaled to total 1: ∫|F⁻¹(q) − G⁻¹(q)|^p dq, exactly.
 *
 * @param p ≥ 1. Default 2.
 * @returns in units of the points to the power p.
 * @source Villani 2003, Topics in optimal transportation, theorem 2.18.
 * @throws ShapeError for no points; ConfigError for p below 1, or weights without a positive total.
 */
export function wasserstein1d(x: LineMeasure, y: LineMeasure, p = 2): number {
  if (!(p >= 1 && p < Infinity)) throw new ConfigError(`wasserstein1d: p must be a finite number of at least 1; got ${p}.`);
  const [a, b] = [quantiles(x), quantiles(y)];
  let [i, j, done, sum] = [0, 0, 0, 0];
  while (i < a.points.length && j < b.points.length) {
    const upTo = Math.min(a.shares[i], b.shares[j]);
    sum += Math.max(0, upTo - done) * Math.abs(a.points[i] - b.points[j]) ** p;
    done = upTo;
    if (a.shares[i] <= done) i++;
    if (b.shares[j] <= done) j++;
  }
  return sum;
}

/** Options of {@link slicedWasserstein}. */
export interface SlicedOptions {
  /** Directions L. Default 128; the error falls as 1/√L. */
  readonly directions?: number;
  /** p ≥ 1. Default 2. */
  readonly p?: number;
  /** Default 0; the same directions for the same seed. */
  readonly seed?: number;
}

/**
 * The sliced Wasserstein distance: (mean over directions θ of W_p^p(⟨θ, x⟩, ⟨θ, y⟩))^(1/p), with directions uniform on the sphere.
 *
 * @param x `[n, D]`. @param y `[m, D]`; equal weights.
 * @returns ≥ 0, in units of the vectors. Two sets that differ by a shift s have |s|/√D for p = 2, in the mean over seeds.
 * @source Bonneel et al. 2015, "Sliced and Radon Wasserstein barycenters of measures"; POT `sliced_wasserstein_distance`.
 * @throws ShapeError if the widths differ; ConfigError for no directions or p below 1.
 */
export function slicedWasserstein(x: Rows, y: Rows, {directions = 128, p = 2, seed = 0}: SlicedOptions = {}): number {
  const [n, m] = [sizeOfRows('slicedWasserstein', x), sizeOfRows('slicedWasserstein', y)];
  const {width} = n;
  if (width !== m.width) throw new ShapeError(`slicedWasserstein: wanted vectors of one width; got ${width} and ${m.width}.`);
  if (!(Number.isInteger(directions) && directions > 0)) {
    throw new ConfigError(`slicedWasserstein: directions must be a positive integer; got ${directions}.`);
  }
  const drawn = normals({seed, purpose: 'slicedWasserstein'}, new Float32Array(directions * width));
  let sum = 0;
  for (let l = 0; l < directions; l++) {
    const direction = Float64Array.from(drawn.subarray(l * width, (l + 1) * width));
    const length = Math.sqrt(direction.reduce((s, d) => s + d * d, 0));
    const along = ({data}: Rows, count: number): Float64Array =>
      Float64Array.from({length: count}, (_, i) => direction.reduce((s, d, at) => s + d * data[i * width + at], 0) / length);
    sum += wasserstein1d({points: along(x, n.count)}, {points: along(y, m.count)}, p);
  }
  return (sum / directions) ** (1 / p);
}
