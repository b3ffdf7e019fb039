import {expect} from 'chai';
import fc from 'fast-check';
import {NonFiniteError, ShapeError} from '../../src/errors.js';
import {symmetricEigen, symmetricFunction} from '../../src/numeric/symmetricEigen.js';
import {normals} from '../../src/tensor/random.js';
import {expectNear} from '../support/near.js';

/** G·Gᵀ/n of normals `[n, rank]`: symmetric, of that rank. */
function randomGram(n: number, rank: number, seed: number): Float64Array {
  const g = normals({seed, purpose: 'gram', sample: n, step: rank}, new Float32Array(n * rank));
  return Float64Array.from({length: n * n}, (_, at) => {
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += g[Math.floor(at / n) * rank + k] * g[(at % n) * rank + k];
    return sum / n;
  });
}

const identity = (n: number): Float64Array => Float64Array.from({length: n * n}, (_, at) => (at % (n + 1) === 0 ? 1 : 0));

/** Row k times row l of a square matrix, for all k and l. */
const rowProducts = (v: Float64Array, n: number): Float64Array =>
  Float64Array.from({length: n * n}, (_, at) => {
    let sum = 0;
    for (let j = 0; j < n; j++) sum += v[Math.floor(at / n) * n + j] * v[(at % n) * n + j];
    return sum;
  });

/** Asserts that vectors are orthonormal, values ascend, and the sum over them is the matrix. */
function expectDecomposition(matrix: Float64Array, n: number): void {
  const found = symmetricEigen(matrix, n);
  expect([...found.values]).to.deep.equal([...found.values].sort((a, b) => a - b));
  expectNear(rowProducts(found.vectors, n), identity(n), {atol: 1e-13 * n, rtol: 0}, 'V·Vᵀ');
  const scale = matrix.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-300);
  expectNear(
    symmetricFunction(found, (x) => x),
    matrix,
    {atol: 1e-14 * n * scale, rtol: 0},
    'V·Λ·Vᵀ',
  );
}

describe('symmetricEigen', () => {
  it('knows the vibrations of a chain: 2 − 2·cos(kπ/(n + 1))', () => {
    const n = 16;
    const chain = Float64Array.from({length: n * n}, (_, at) => [2, -1][Math.abs(Math.floor(at / n) - (at % n))] ?? 0);
    const wanted = Array.from({length: n}, (_, k) => 2 - 2 * Math.cos(((k + 1) * Math.PI) / (n + 1)));
    const {values, vectors} = symmetricEigen(chain, n);
    expectNear(values, wanted, {atol: 1e-14, rtol: 0}, 'eigenvalues');
    for (let k = 0; k < n; k++) {
      const mode = vectors.subarray(k * n, (k + 1) * n);
      const turns = mode.reduce((sum, x, i) => sum + (i > 0 && x * mode[i - 1] < 0 ? 1 : 0), 0);
      expect(turns, `nodes of mode ${k}`).to.equal(k);
    }
  });

  it('decomposes matrices of any size and rank', () => {
    for (const n of [1, 2, 3, 5, 12, 33, 64]) {
      for (const rank of new Set([1, Math.ceil(n / 3), n])) expectDecomposition(randomGram(n, rank, 3), n);
    }
  });

  it('decomposes small integer matrices, many of whose eigenvalues are equal or 0', () => {
    const matrices = fc.integer({min: 1, max: 6}).chain((n) =>
      fc.array(fc.integer({min: -1, max: 1}), {minLength: n * n, maxLength: n * n}).map((a) => ({
        n,
        matrix: Float64Array.from(a, (_, at) => {
          const [i, j] = [Math.floor(at / n), at % n];
          return a[Math.max(i, j) * n + Math.min(i, j)];
        }),
      })),
    );
    fc.assert(fc.property(matrices, ({n, matrix}) => expectDecomposition(matrix, n)));
  });

  it('keeps its precision at any scale', () => {
    for (const scale of [1e-150, 1e-8, 1e150])
      expectDecomposition(
        randomGram(9, 4, 5).map((x) => x * scale),
        9,
      );
  });

  it('leaves a diagonal matrix as it is, in order', () => {
    const {values, vectors} = symmetricEigen([3, 0, 0, 0, -1, 0, 0, 0, 2], 3);
    expect([...values]).to.deep.equal([-1, 2, 3]);
    expect([...vectors]).to.deep.equal([0, 1, 0, 0, 0, 1, 1, 0, 0]);
  });

  it('takes roots that square to the matrix', () => {
    const matrix = randomGram(10, 10, 7);
    const root = symmetricFunction(symmetricEigen(matrix, 10), Math.sqrt);
    expectNear(rowProducts(root, 10), matrix, {atol: 1e-14, rtol: 1e-12}, 'root²');
  });

  it('refuses what is no finite square matrix', () => {
    expect(() => symmetricEigen([1, 2, 3], 2)).to.throw(ShapeError, /2×2 numbers; got 3/);
    expect(() => symmetricEigen([1, NaN, NaN, 1], 2)).to.throw(NonFiniteError);
  });
});
