import * as tf from '@tensorflow/tfjs-core';
import {fromClean, toClean, type Prediction} from '../../src/numeric/prediction.js';
import {normals} from '../../src/tensor/random.js';
import {expectClose, values} from '../support/golden.js';

const draw = (purpose: string): number[] => [...normals({seed: 7, purpose}, new Float32Array(6))];

describe('predictions', () => {
  // Rows: variance preserving at two levels, and a flow model at t = .3 (α + σ = 1).
  const alpha = [0.6, 0.98, 0.7];
  const sigma = [0.8, Math.sqrt(1 - 0.98 ** 2), 0.3];
  const [clean, noise] = [draw('clean'), draw('noise')];
  const row = (i: number): number => Math.floor(i / 2);
  const latent = clean.map((x, i) => alpha[row(i)] * x + sigma[row(i)] * noise[i]);
  const point = {latent: tf.tensor(latent, [3, 2]), alpha: tf.tensor1d(alpha), sigma: tf.tensor1d(sigma)};
  const outputs: Record<Prediction, number[]> = {
    clean,
    noise,
    flow: clean.map((x, i) => noise[i] - x),
    velocity: clean.map((x, i) => alpha[row(i)] * noise[i] - sigma[row(i)] * x),
  };

  for (const kind of Object.keys(outputs) as Prediction[]) {
    it(`recovers the clean latent from ${kind}, and ${kind} from it`, () => {
      expectClose(toClean(kind, tf.tensor(outputs[kind], [3, 2]), point), clean, 2e-6);
      expectClose(fromClean(kind, tf.tensor(clean, [3, 2]), point), outputs[kind], 1e-5);
    });

    it(`is a pair of inverses for an arbitrary ${kind}`, () => {
      const output = tf.tensor(draw('output'), [3, 2]);
      expectClose(fromClean(kind, toClean(kind, output, point), point), values(output), 1e-5);
    });
  }
});
