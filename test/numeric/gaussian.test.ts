import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import fc from 'fast-check';
import {cpsLogProbability, klDivergence, logProbability} from '../../src/numeric/gaussian.js';
import {normals} from '../../src/tensor/random.js';
import {expectClose, values} from '../support/golden.js';

const shape = [3, 2, 2, 2];
const draw = (purpose: string): tf.Tensor => tf.tensor(normals({seed: 5, purpose}, new Float32Array(24)), shape);
const [next, mean, reference] = ['next', 'mean', 'reference'].map(draw);
const std = tf.tensor1d([0.5, 0.07, 1.3]);

/** ln of the normal density in float64. */
const logDensity = (x: number, mu: number, sd: number): number =>
  -((x - mu) ** 2) / (2 * sd * sd) - Math.log(sd * Math.sqrt(2 * Math.PI));

/** Mean over the elements of each row of a function of element and row. */
function rowMeans(of: (i: number, row: number) => number): number[] {
  return [0, 1, 2].map((row) => Array.from({length: 8}, (_, j) => of(row * 8 + j, row)).reduce((a, b) => a + b) / 8);
}

describe('logProbability', () => {
  it('is the mean of the normal log-densities of the elements', () => {
    const [x, mu, sd] = [next, mean, std].map(values);
    expectClose(
      logProbability(next, mean, std),
      rowMeans((i, r) => logDensity(x[i], mu[i], sd[r])),
      1e-6,
      2e-6,
    );
  });

  it('integrates to one over a latent of one element', () => {
    const grid = tf.linspace(-6, 6, 2401);
    const at = tf.fill([2401], 0.4);
    const density = tf.exp(logProbability(grid, at, tf.fill([2401], 0.7)));
    expectClose([tf.sum(density).dataSync()[0] * (12 / 2400)], [1], 1e-5);
  });

  it('has the gradient (x − μ)/(n·std²) in the mean', () => {
    const [x, mu, sd] = [next, mean, std].map(values);
    const gradient = tf.grad((m) => tf.sum(logProbability(next, m, std)))(mean);
    expectClose(
      gradient,
      [...x.keys()].map((i) => (x[i] - mu[i]) / (8 * sd[Math.floor(i / 8)] ** 2)),
      1e-6,
      2e-6,
    );
  });

  it('is 0 without gradient for a deterministic row, and leaves the others as they are', () => {
    const some = tf.tensor1d([0.5, 0, 1.3]);
    const all = values(logProbability(next, mean, std));
    expectClose(logProbability(next, mean, some), [all[0], 0, all[2]], 0);
    const gradient = values(tf.grad((m) => tf.sum(logProbability(next, m, some)))(mean));
    expectClose(gradient.slice(8, 16), Array<number>(8).fill(0), 0);
    expect(gradient.every(Number.isFinite)).to.equal(true);
    expect(gradient[0]).to.not.equal(0);
  });
});

describe('cpsLogProbability', () => {
  it('is the negative mean square error', () => {
    const [x, mu] = [next, mean].map(values);
    expectClose(
      cpsLogProbability(next, mean),
      rowMeans((i) => -((x[i] - mu[i]) ** 2)),
      1e-6,
    );
  });

  it('differs from a log-density by 2·std² in every difference', () => {
    const difference = tf.sub(cpsLogProbability(next, mean), cpsLogProbability(next, reference));
    const nats = tf.sub(logProbability(next, mean, std), logProbability(next, reference, std));
    expectClose(difference, values(tf.mul(nats, tf.mul(2, tf.square(std)))), 2e-6, 1e-5);
  });
});

describe('klDivergence', () => {
  it('is the integral of p·ln(p/q) over each element', () => {
    const [mu, nu, sd] = [mean, reference, std].map(values);
    const integral = (i: number, row: number): number => {
      const [s, steps] = [sd[row], 2000];
      let sum = 0;
      for (let k = 0; k <= steps; k++) {
        const x = mu[i] + s * (-8 + (16 * k) / steps);
        const p = logDensity(x, mu[i], s);
        sum += Math.exp(p) * (p - logDensity(x, nu[i], s)) * ((16 * s) / steps);
      }
      return sum;
    };
    expectClose(klDivergence(mean, reference, std), rowMeans(integral), 1e-6, 1e-5);
  });

  it('is never negative, and 0 where the means are the same', () => {
    const numbers = fc.array(fc.integer({min: -1000, max: 1000}), {minLength: 4, maxLength: 4});
    fc.assert(
      fc.property(numbers, numbers, fc.integer({min: 0, max: 100}), (one, two, percent) => {
        const [mu, nu] = [one, two].map((list) =>
          tf.tensor2d(
            list.map((v) => v / 1000),
            [1, 4],
          ),
        );
        const sd = tf.tensor1d([percent / 100]);
        expect(values(klDivergence(mu, nu, sd))[0]).to.be.at.least(0);
        expect(values(klDivergence(mu, mu, sd))[0]).to.equal(0);
      }),
      {numRuns: 100, seed: 1},
    );
  });

  it('is 0 without gradient for a deterministic row', () => {
    const some = tf.tensor1d([0.5, 0.07, 0]);
    expect(values(klDivergence(mean, reference, some))[2]).to.equal(0);
    const gradient = values(tf.grad((m) => tf.sum(klDivergence(m, reference, some)))(mean));
    expectClose(gradient.slice(16), Array<number>(8).fill(0), 0);
    expect(gradient.every(Number.isFinite)).to.equal(true);
  });
});
