import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import {expect} from 'chai';
import '../../src/autograd/index.js';
import {gridConvolution} from '../../src/models/gridConvolution.js';
import {normals} from '../../src/tensor/random.js';

const CHANNELS = 3;
const random = (sample: number, ...shape: number[]): tf.Tensor =>
  tf.tensor(normals({seed: 3, purpose: 'grid', sample}, new Float32Array(tf.util.sizeFromShape(shape))), shape);

/** One convolution after the other, number by number. */
function slowly(
  space: ArrayLike<number>,
  bias: ArrayLike<number>,
  time: ArrayLike<number>,
  x: ArrayLike<number>,
  [T, Y, X]: [number, number, number],
  batch: number,
): number[] {
  const at = (b: number, t: number, y: number, c0: number, c: number): number => (((b * T + t) * Y + y) * X + c0) * CHANNELS + c;
  const inside = (i: number, n: number): boolean => i >= 0 && i < n;
  const first = Array.from({length: x.length}, () => 0);
  const second = first.slice();
  for (let b = 0; b < batch; b++)
    for (let t = 0; t < T; t++)
      for (let p = 0; p < Y * X; p++)
        for (let c = 0; c < CHANNELS; c++) {
          const [r, q] = [Math.floor(p / X), p % X];
          let sum = bias[c];
          for (let tap = 0; tap < 9; tap++) {
            const [i, j] = [r + Math.floor(tap / 3) - 1, q + (tap % 3) - 1];
            if (inside(i, Y) && inside(j, X)) sum += space[c * 9 + tap] * x[at(b, t, i, j, c)];
          }
          first[at(b, t, r, q, c)] = sum;
        }
  for (let i = 0; i < first.length; i++) {
    const [c, frame] = [i % CHANNELS, Y * X * CHANNELS];
    const t = Math.floor(i / frame) % T;
    for (let tap = 0; tap < 3; tap++) if (inside(t + tap - 1, T)) second[i] += time[c * 3 + tap] * first[i + (tap - 1) * frame];
  }
  return second;
}

describe('gridConvolution', () => {
  for (const grid of [
    [3, 4, 5],
    [1, 4, 5],
  ] as [number, number, number][]) {
    it(`convolves in space and then in time, on a grid of ${grid.join('×')}`, async () => {
      await tf.setBackend('cpu');
      const batch = 2;
      const [space, bias, time] = [random(0, CHANNELS, 9), random(1, CHANNELS), random(2, CHANNELS, 3)];
      const x = random(3, batch, grid[0] * grid[1] * grid[2], CHANNELS);
      const y = gridConvolution({space, bias, time}, x, grid);
      const wanted = slowly(space.dataSync(), bias.dataSync(), time.dataSync(), x.dataSync(), grid, batch);
      y.dataSync().forEach((v, i) => expect(v, `element ${i}`).to.be.closeTo(wanted[i], 1e-4));
    });
  }
});
