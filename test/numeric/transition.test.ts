import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {detach} from '../../src/numeric/detach.js';
import {replay, step} from '../../src/numeric/transition.js';
import {normals} from '../../src/tensor/random.js';
import {expectClose, values} from '../support/golden.js';

const draw = (purpose: string): tf.Tensor => tf.tensor(normals({seed: 6, purpose}, new Float32Array(18)), [3, 3, 2, 1]);
const [latent, x0, noise] = ['latent', 'x0', 'noise'].map(draw);
// A batch that mixes three steps: noisy, deterministic, noisy.
const coefficients = {a: tf.tensor1d([0.9, 0, 0.4]), b: tf.tensor1d([0.1, 1, 0.55]), std: tf.tensor1d([0.3, 0, 0.05])};
const inputs = {latent, x0, ...coefficients};
const [a, b, std] = [coefficients.a, coefficients.b, coefficients.std].map(values);
const row = (i: number): number => Math.floor(i / 6);

describe('step', () => {
  it('goes to a·latent + b·x0 + std·noise, each row with its own coefficients', () => {
    const [l, c, z] = [latent, x0, noise].map(values);
    const wanted = l.map((v, i) => a[row(i)] * v + b[row(i)] * c[i] + std[row(i)] * z[i]);
    expectClose(step({...inputs, noise}).next, wanted, 1e-6);
  });

  it('scores the noise it drew', () => {
    const z = values(noise);
    const logProb = [0, 1, 2].map((r) => {
      if (std[r] === 0) return 0;
      const square = z.slice(r * 6, r * 6 + 6).reduce((sum, v) => sum + v * v, 0) / 6;
      return -0.5 * square - Math.log(std[r]) - 0.5 * Math.log(2 * Math.PI);
    });
    expectClose(step({...inputs, noise}).logProb, logProb, 5e-6);
  });

  it('differentiates the point reached, but not through it when it is scored', () => {
    const next = tf.grad((c) => tf.sum(step({...inputs, x0: c, noise}).next))(x0);
    expectClose(
      next,
      values(x0).map((_, i) => b[row(i)]),
      1e-6,
    );
    // ∂logp/∂x0 = b·z/(n·std); had the gradient gone through x' too, it would be 0.
    const score = tf.grad((c) => tf.sum(step({...inputs, x0: c, noise}).logProb))(x0);
    const wanted = values(noise).map((z, i) => (std[row(i)] === 0 ? 0 : (b[row(i)] * z) / (6 * std[row(i)])));
    expectClose(score, wanted, 1e-5, 1e-4);
  });
});

describe('replay', () => {
  for (const density of ['gaussian', 'cps'] as const) {
    it(`scores exactly as the step did (${density})`, () => {
      const {next, logProb} = step({...inputs, noise}, density);
      expectClose(replay({...inputs, next}, density).logProb, values(logProb), 0);
    });

    it(`gives 0 and no gradient for a deterministic row, even far from its mean (${density})`, () => {
      const next = tf.add(step({...inputs, noise}).next, 1);
      const score = (c: tf.Tensor): tf.Tensor => replay({...inputs, x0: c, next}, density).logProb;
      expect(values(score(x0))[1]).to.equal(0);
      const gradient = values(tf.grad((c) => tf.sum(score(c)))(x0));
      expectClose(gradient.slice(6, 12), Array<number>(6).fill(0), 0);
      expect(gradient.every(Number.isFinite)).to.equal(true);
      expect(gradient.slice(0, 6).every((g) => g !== 0)).to.equal(true);
    });
  }

  it('has the gradient that finite differences give', () => {
    const {next} = step({...inputs, noise});
    const score = (c: tf.Tensor): tf.Tensor => tf.sum(replay({...inputs, x0: c, next}).logProb);
    const moved = tf.add(x0, tf.mul(draw('offset'), 0.1));
    const direction = draw('direction');
    const h = 1e-2;
    // The score is quadratic in x0, so central differences are exact but for rounding.
    const difference =
      (score(tf.add(moved, tf.mul(direction, h))).dataSync()[0] - score(tf.sub(moved, tf.mul(direction, h))).dataSync()[0]) /
      (2 * h);
    const along = tf.sum(tf.mul(tf.grad(score)(moved), direction)).dataSync()[0];
    expect(along).to.be.closeTo(difference, 2e-3 * Math.abs(difference) + 1e-3);
  });

  it('returns the mean, through which gradients flow', () => {
    const {mean} = replay({...inputs, next: latent});
    const [l, c] = [latent, x0].map(values);
    expectClose(
      mean,
      l.map((v, i) => a[row(i)] * v + b[row(i)] * c[i]),
      1e-6,
    );
  });

  it('works on latents without dimensions', () => {
    const flat = {
      latent: tf.tensor1d([1, 2]),
      x0: tf.tensor1d([0, 1]),
      a: tf.tensor1d([0.5, 1]),
      b: tf.tensor1d([0.5, 1]),
      std: tf.tensor1d([1, 2]),
    };
    const {logProb, mean} = replay({...flat, next: tf.tensor1d([0.5, 5])});
    expectClose(mean, [0.5, 3], 1e-6);
    expectClose(logProb, [-0.9189385, -0.5 - Math.log(2) - 0.9189385], 1e-6);
  });
});

describe('detach', () => {
  it('keeps the values and stops the gradient', () => {
    const x = tf.tensor1d([1, -2]);
    expectClose(detach(x), [1, -2], 0);
    expectClose(tf.grad((v) => tf.sum(tf.mul(v, detach(v))))(x), [1, -2], 0);
  });
});
