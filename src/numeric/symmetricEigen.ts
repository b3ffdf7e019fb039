/** Eigenvalues and eigenvectors of symmetric matrices, and functions of them. Float64, plain arrays: for fitting, never in a graph. */
import {NonFiniteError, ShapeError} from '../errors.js';

/** A symmetric matrix as Σ_k λ_k·v_k·v_kᵀ. */
export interface Eigendecomposition {
  /** λ, ascending: `[n]`. */
  readonly values: Float64Array;
  /** Row k is the unit vector v_k: `[n, n]`. */
  readonly vectors: Float64Array;
}

/** Householder's reflections put the matrix into tridiagonal form: A = Q·T·Qᵀ. `rows` is Qᵀ. Destroys `a`. */
function tridiagonalise(a: Float64Array, n: number): {diagonal: Float64Array; beside: Float64Array; rows: Float64Array} {
  const beside = new Float64Array(n);
  const scales = new Float64Array(n);
  const w = new Float64Array(n);
  for (let k = 0; k < n - 2; k++) {
    // Row k right of the diagonal is turned into (±norm, 0, …); the reflection's vector v takes its place.
    const v = a.subarray(k * n, (k + 1) * n);
    let norm = 0;
    for (let j = k + 1; j < n; j++) norm += v[j] * v[j];
    norm = Math.sqrt(norm);
    beside[k] = v[k + 1] > 0 ? -norm : norm;
    if (norm === 0) continue;
    v[k + 1] -= beside[k];
    let squares = 0;
    for (let j = k + 1; j < n; j++) squares += v[j] * v[j];
    const scale = (scales[k] = 2 / squares);
    let along = 0;
    for (let i = k + 1; i < n; i++) {
      let sum = 0;
      for (let j = k + 1; j < n; j++) sum += a[i * n + j] * v[j];
      w[i] = scale * sum;
      along += w[i] * v[i];
    }
    for (let i = k + 1; i < n; i++) w[i] -= (scale / 2) * along * v[i];
    for (let i = k + 1; i < n; i++) {
      const vi = v[i];
      const wi = w[i];
      for (let j = k + 1, at = i * n + j; j < n; j++, at++) a[at] -= vi * w[j] + wi * v[j];
    }
  }
  if (n > 1) beside[n - 2] = a[(n - 2) * n + n - 1];
  const diagonal = Float64Array.from({length: n}, (_, i) => a[i * n + i]);
  const rows = new Float64Array(n * n);
  for (let i = 0; i < n; i++) rows[i * n + i] = 1;
  for (let k = n - 3; k >= 0; k--) {
    if (scales[k] === 0) continue;
    for (let i = k + 1; i < n; i++) {
      let along = 0;
      for (let j = k + 1; j < n; j++) along += rows[i * n + j] * a[k * n + j];
      for (let j = k + 1; j < n; j++) rows[i * n + j] -= scales[k] * along * a[k * n + j];
    }
  }
  return {diagonal, beside, rows};
}

/** Turns rows `k` and `k + 1` by the angle whose cosine and sine are given. */
function rotateRows(rows: Float64Array, n: number, k: number, cos: number, sin: number): void {
  for (let at = k * n, below = at + n; at < (k + 1) * n; at++, below++) {
    const x = rows[at];
    const y = rows[below];
    rows[at] = cos * x + sin * y;
    rows[below] = cos * y - sin * x;
  }
}

/** One sweep of the implicit QR iteration with Wilkinson's shift, on the block `from … to` of a tridiagonal matrix. */
function sweep(d: Float64Array, e: Float64Array, rows: Float64Array, n: number, from: number, to: number): void {
  const half = (d[to - 1] - d[to]) / 2;
  const reach = half + (half < 0 ? -1 : 1) * Math.hypot(half, e[to - 1]);
  let x = d[from] - d[to] + (reach === 0 ? 0 : e[to - 1] ** 2 / reach);
  let z = e[from];
  for (let k = from; k < to; k++) {
    const r = Math.hypot(x, z);
    const [cos, sin] = r === 0 ? [1, 0] : [x / r, z / r];
    if (k > from) e[k - 1] = r;
    const [a, b, c] = [d[k], e[k], d[k + 1]];
    d[k] = cos * cos * a + 2 * cos * sin * b + sin * sin * c;
    d[k + 1] = sin * sin * a - 2 * cos * sin * b + cos * cos * c;
    e[k] = cos * sin * (c - a) + (cos * cos - sin * sin) * b;
    if (k < to - 1) {
      x = e[k];
      z = sin * e[k + 1];
      e[k + 1] *= cos;
    }
    rotateRows(rows, n, k, cos, sin);
  }
}

/**
 * All eigenvalues and eigenvectors of a symmetric matrix, in about 9·n³ operations.
 *
 * @param matrix `[n, n]`, row by row; taken to be symmetric.
 * @source Golub & Van Loan, Matrix Computations, 4th edition, algorithms 8.3.1 to 8.3.3.
 * @throws ShapeError if there are not n² numbers; NonFiniteError if one of them is not finite.
 */
export function symmetricEigen(matrix: ArrayLike<number>, n: number): Eigendecomposition {
  if (matrix.length !== n * n) throw new ShapeError(`symmetricEigen: wanted ${n}×${n} numbers; got ${matrix.length}.`);
  let largest = 0;
  for (let i = 0; i < n * n; i++) {
    if (!Number.isFinite(matrix[i])) throw new NonFiniteError(`symmetricEigen: element ${i} of the matrix is ${matrix[i]}.`);
    largest = Math.max(largest, Math.abs(matrix[i]));
  }
  // Squares of tiny or huge numbers would leave float64.
  const scale = largest > 0 ? largest : 1;
  const a = Float64Array.from(matrix, (x) => x / scale);
  const {diagonal: d, beside: e, rows} = tridiagonalise(a, n);
  const negligible = (i: number): boolean => Math.abs(e[i]) <= Number.EPSILON * (Math.abs(d[i]) + Math.abs(d[i + 1]));
  // About two sweeps an eigenvalue are the rule.
  let left = 30 * n;
  for (let to = n - 1; to > 0;) {
    if (negligible(to - 1)) {
      e[--to] = 0;
      continue;
    }
    let from = to - 1;
    while (from > 0 && !negligible(from - 1)) from--;
    if (left-- === 0) throw new Error('internal: symmetricEigen did not converge.');
    sweep(d, e, rows, n, from, to);
  }
  const order = Int32Array.from(d, (_, i) => i).sort((i, j) => d[i] - d[j]);
  const vectors = new Float64Array(n * n);
  order.forEach((from, to) => vectors.set(rows.subarray(from * n, (from + 1) * n), to * n));
  return {values: Float64Array.from(order, (i) => d[i] * scale), vectors};
}

/**
 * A function of a symmetric matrix: Σ_k f(λ_k)·v_k·v_kᵀ.
 *
 * @returns `[n, n]`, symmetric.
 */
export function symmetricFunction({values, vectors}: Eigendecomposition, f: (eigenvalue: number) => number): Float64Array {
  const n = values.length;
  const out = new Float64Array(n * n);
  for (let k = 0; k < n; k++) {
    const weight = f(values[k]);
    const v = vectors.subarray(k * n, (k + 1) * n);
    if (weight === 0) continue;
    for (let i = 0; i < n; i++) {
      const scaled = weight * v[i];
      for (let j = 0; j < n; j++) out[i * n + j] += scaled * v[j];
    }
  }
  return out;
}
