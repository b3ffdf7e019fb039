import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {nesterov, newtonSchulz, orthogonalise} from '../../../src/numeric/optim/muon.js';
import {normals} from '../../../src/tensor/random.js';
import {expectClose, values} from '../../support/golden.js';

type Matrix = number[][];
const draw = (rows: number, columns: number, purpose: string): Matrix => {
  const flat = normals({seed: 11, purpose}, new Float32Array(rows * columns));
  return Array.from({length: rows}, (_, i) => [...flat.subarray(i * columns, (i + 1) * columns)]);
};
const transpose = (a: Matrix): Matrix => a[0].map((_, j) => a.map((row) => row[j]));
const multiply = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0].map((_, j) => row.reduce((sum, v, k) => sum + v * b[k][j], 0)));
const combine = (a: Matrix, b: Matrix, x: number, y: number): Matrix => a.map((row, i) => row.map((v, j) => x * v + y * b[i][j]));
const norm = (a: Matrix): number => Math.hypot(...a.flat());

/** The iteration in float64, as its authors write it: on `[out, in]`, wide side up. */
function slowOrthogonalise(gradient: Matrix): Matrix {
  let x = gradient.map((row) => row.map((v) => v / (norm(gradient) + 1e-7)));
  const tall = x.length > x[0].length;
  if (tall) x = transpose(x);
  for (let i = 0; i < 5; i++) {
    const gram = multiply(x, transpose(x));
    x = combine(x, multiply(combine(gram, multiply(gram, gram), -4.775, 2.0315), x), 3.4445, 1);
  }
  return tall ? transpose(x) : x;
}

/** The update of a weight stored `[in, out]`, by way of torch's `[out, in]`. */
function slowUpdate(weight: Matrix): Matrix {
  const x = slowOrthogonalise(transpose(weight));
  const scale = Math.sqrt(Math.max(1, x.length / x[0].length));
  return transpose(x).map((row) => row.map((v) => v * scale));
}

/** Columns made orthonormal by Gram-Schmidt. */
function orthonormal(rows: number, columns: number, purpose: string): Matrix {
  const basis: number[][] = [];
  for (const column of transpose(draw(rows, columns, purpose))) {
    let v = column;
    for (let pass = 0; pass < 2; pass++) {
      for (const b of basis) {
        const along = b.reduce((sum, x, i) => sum + x * v[i], 0);
        v = v.map((x, i) => x - along * b[i]);
      }
    }
    basis.push(v.map((x) => x / Math.hypot(...v)));
  }
  return transpose(basis);
}

describe('newtonSchulz', () => {
  for (const [rows, columns] of [
    [6, 6],
    [9, 5],
    [5, 9],
  ]) {
    it(`keeps the singular vectors of ${rows} × ${columns} and sends each singular value through the quintic five times`, () => {
      const rank = Math.min(rows, columns);
      const singular = Array.from({length: rank}, (_, i) => 3 / (1 + i * i));
      const [u, v] = [orthonormal(rows, rank, 'u'), orthonormal(columns, rank, 'v')];
      const withSingular = (s: number[]): Matrix =>
        multiply(
          u.map((row) => row.map((x, k) => x * s[k])),
          transpose(v),
        );
      let mapped = singular.map((s) => s / (Math.hypot(...singular) + 1e-7));
      for (let i = 0; i < 5; i++) mapped = mapped.map((s) => 3.4445 * s - 4.775 * s ** 3 + 2.0315 * s ** 5);
      const result = newtonSchulz(tf.tensor3d([withSingular(singular), withSingular(singular.map((s) => 100 * s))]));
      expectClose(result, [withSingular(mapped), withSingular(mapped)].flat(2), 2e-4);
      expect(Math.min(...mapped)).to.be.above(0.65);
      expect(Math.max(...mapped)).to.be.below(1.25);
    });
  }

  it('gives zeros for zeros', () => {
    expectClose(newtonSchulz(tf.zeros([1, 3, 4])), new Array<number>(12).fill(0), 0);
  });
});

describe('orthogonalise', () => {
  const weights = {
    wide: draw(4, 10, 'wide'),
    qkv: draw(5, 15, 'qkv'),
    square: draw(5, 5, 'square'),
    tall: draw(10, 4, 'tall'),
    wideToo: draw(4, 10, 'wideToo'),
    whole: draw(5, 15, 'whole'),
  };
  const names = Object.keys(weights) as (keyof typeof weights)[];
  const updates = orthogonalise(
    names.map((n) => tf.tensor2d(weights[n])),
    names.map((n) => n === 'qkv'),
  );

  for (const [i, name] of names.entries()) {
    if (name === 'qkv') continue;
    it(`matches the slow float64 update of ${name}, whatever it is stacked with`, () => {
      expect(updates[i].shape).to.deep.equal([weights[name].length, weights[name][0].length]);
      expectClose(updates[i], slowUpdate(weights[name]).flat(), 5e-4);
    });
  }

  it('treats queries, keys and values as three matrices of their own', () => {
    const part = (k: number): Matrix => slowUpdate(weights.qkv.map((row) => row.slice(5 * k, 5 * k + 5)));
    const parts = [part(0), part(1), part(2)];
    const wanted = weights.qkv.flatMap((_, i) => parts.flatMap((p) => p[i]));
    expectClose(updates[names.indexOf('qkv')], wanted, 5e-4);
  });

  it('takes a weight that has more outputs than inputs further, by √(out/in)', () => {
    const size = (name: keyof typeof weights): number => Math.hypot(...values(updates[names.indexOf(name)]));
    // Four singular values near 1 in both.
    expect(size('wide') / size('tall')).to.be.closeTo(Math.sqrt(10 / 4), 0.15);
  });
});

describe('nesterov', () => {
  it('looks ahead along the momentum', () => {
    const [gradients, mu] = [[1, -2, 0.5], 0.95];
    let momentum: tf.Tensor = tf.tensor1d([0]);
    let m = 0;
    for (const g of gradients) {
      m += (1 - mu) * (g - m);
      const result = nesterov(tf.tensor1d([g]), momentum, mu);
      expectClose(result.momentum, [m], 1e-7);
      expectClose(result.direction, [g + mu * (m - g)], 1e-7);
      momentum = result.momentum;
    }
  });
});
