import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {clipByGlobalNorm, globalNorm} from '../../../src/numeric/optim/clip.js';
import {cases, expectClose, expectOutput, tensor, values} from '../../support/golden.js';

describe('clipByGlobalNorm', () => {
  for (const c of cases<{max_norm: number}>('optim.json', 'clip-grad-norm').filter((v) => !v.name.includes('nan'))) {
    it(`matches ${c.name} of torch`, () => {
      const names = Object.keys(c.inputs);
      const {gradients, norm} = clipByGlobalNorm(
        names.map((n) => tensor(c.inputs[n])),
        tf.scalar(c.params.max_norm),
      );
      expectOutput(c, 'total_norm', norm);
      names.forEach((n, i) => expectOutput(c, n, gradients[i]));
    });
  }

  for (const c of cases<{max_norm: number}>('optim.json', 'clip-grad-norm').filter((v) => v.name.includes('nan'))) {
    it(`says so in the norm where ${c.name} turns every gradient into NaN`, () => {
      const {norm} = clipByGlobalNorm([tensor(c.inputs.g0), tf.ones([2])], tf.scalar(c.params.max_norm));
      expect(values(norm)[0]).to.be.NaN;
    });
  }

  it('leaves gradients below the limit as they are, and zeros without NaN', () => {
    const small = [tf.tensor1d([0.3, -0.4]), tf.zeros([2])];
    const {gradients, norm} = clipByGlobalNorm(small, tf.scalar(1));
    expectClose(norm, [0.5], 1e-7);
    expectClose(gradients[0], values(small[0]), 0);
    expectClose(clipByGlobalNorm([tf.zeros([3])], tf.scalar(1)).gradients[0], [0, 0, 0], 0);
  });

  it('takes the norm over all tensors', () => {
    expectClose(
      globalNorm([
        tf.tensor2d([
          [1, 2],
          [2, 0],
        ]),
        tf.scalar(4),
      ]),
      [5],
      1e-6,
    );
  });
});
