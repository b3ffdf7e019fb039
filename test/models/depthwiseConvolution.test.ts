import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import {expect} from 'chai';
import '../../src/autograd/index.js';
import {depthwiseConvolution} from '../../src/models/depthwiseConvolution.js';
import {normals} from '../../src/tensor/random.js';

const [BATCH, CHANNELS] = [2, 3];
const grid: [number, number, number] = [3, 4, 5];
const [T, Y, X] = grid;
const random = (sample: number, ...shape: number[]): tf.Tensor =>
  tf.tensor(normals({seed: 2, purpose: 'convolution', sample}, new Float32Array(tf.util.sizeFromShape(shape))), shape);

/** Visits every (batch, output token, input token, channel, tap) of the sum. */
function everyProduct(use: (b: number, to: number, from: number, c: number, tap: number) => void): void {
  const inside = (i: number, n: number): boolean => i >= 0 && i < n;
  for (let b = 0; b < BATCH; b++)
    for (let t = 0; t < T; t++)
      for (let y = 0; y < Y; y++)
        for (let x = 0; x < X; x++)
          for (let tap = 0; tap < 27; tap++) {
            const [p, q, r] = [t + Math.floor(tap / 9) - 1, y + (Math.floor(tap / 3) % 3) - 1, x + (tap % 3) - 1];
            if (!inside(p, T) || !inside(q, Y) || !inside(r, X)) continue;
            for (let c = 0; c < CHANNELS; c++) use(b, (t * Y + y) * X + x, (p * Y + q) * X + r, c, tap);
          }
}

const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((m, x, i) => Math.max(m, Math.abs(x - b[i])), 0);

describe('depthwiseConvolution', () => {
  const at = (b: number, token: number, c: number): number => (b * T * Y * X + token) * CHANNELS + c;

  it('sums the products of its definition, and so do both gradients', async () => {
    await tf.setBackend('cpu');
    const [kernel, x, dy] = [
      random(0, CHANNELS, 27),
      random(1, BATCH, T * Y * X, CHANNELS),
      random(2, BATCH, T * Y * X, CHANNELS),
    ];
    const [k, z, g] = [kernel.dataSync(), x.dataSync(), dy.dataSync()];
    const wanted = {y: new Float64Array(z.length), dx: new Float64Array(z.length), dk: new Float64Array(k.length)};
    everyProduct((b, to, from, c, tap) => {
      wanted.y[at(b, to, c)] += k[c * 27 + tap] * z[at(b, from, c)];
      wanted.dx[at(b, from, c)] += k[c * 27 + tap] * g[at(b, to, c)];
      wanted.dk[c * 27 + tap] += z[at(b, from, c)] * g[at(b, to, c)];
    });
    const y = depthwiseConvolution(kernel, x, grid);
    expect(y.shape).to.deep.equal(x.shape);
    expect(largestDifference(y.dataSync(), wanted.y), 'value').to.be.below(1e-5);
    const [dk, dx] = tf.grads((w: tf.Tensor, v: tf.Tensor) => tf.sum(tf.mul(depthwiseConvolution(w, v, grid), dy)))([kernel, x]);
    expect(largestDifference(dx.dataSync(), wanted.dx), 'gradient of x').to.be.below(1e-5);
    expect(largestDifference(dk.dataSync(), wanted.dk), 'gradient of the kernel').to.be.below(1e-4);
  });
});
