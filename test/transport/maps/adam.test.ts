import * as tf from '@tensorflow/tfjs-core';
import {adamCorrections, adamw, type AdamWState} from '../../../src/numeric/optim/adamw.js';
import {clipByGlobalNorm} from '../../../src/numeric/optim/clip.js';
import type {Branch} from '../../../src/tensor/tree.js';
import {ADAM, adamUpdate} from '../../../src/transport/maps/adam.js';
import {expectClose, values} from '../../support/golden.js';

describe('adamUpdate', () => {
  for (const [maxGradientNorm, weightDecay] of [
    [1e9, 0],
    [0.3, 0],
    [0.3, 0.1],
  ]) {
    it(`clips, decays and steps as the general functions do (norm ${maxGradientNorm}, decay ${weightDecay})`, () => {
      // The loss Σ c·θ² has the gradient 2cθ.
      const c = tf.tensor1d([3, -0.5, 1e-4, 0]);
      let state: Branch<tf.Tensor> = {params: tf.tensor1d([1, -2, 3, 4]), first: tf.zeros([4]), second: tf.zeros([4])};
      let params = state['params'] as tf.Tensor;
      let moments: AdamWState = {first: tf.zeros([4]), second: tf.zeros([4])};
      for (let n = 1; n <= 4; n++) {
        const {correction1, correction2} = adamCorrections(n, ADAM);
        const step = {learningRate: tf.scalar(0.05), correction1: tf.scalar(correction1), correction2: tf.scalar(correction2)};
        const loss = (p: tf.Tensor): {loss: tf.Tensor; metrics: Record<string, tf.Tensor>} => ({
          loss: tf.sum(tf.mul(c, tf.square(p))),
          metrics: {first: tf.reshape(tf.slice(p, [0], [1]), [])},
        });
        const updated = adamUpdate(state, loss, step, {weightDecay, maxGradientNorm});
        const clipped = clipByGlobalNorm([tf.mul(tf.mul(c, params), 2)], tf.scalar(maxGradientNorm));
        expectClose(updated.metrics['gradientNorm'], values(clipped.norm), 0, 1e-6, 'norm');
        expectClose(updated.metrics['loss'], values(tf.sum(tf.mul(c, tf.square(params)))), 0, 1e-5, 'loss');
        expectClose(updated.metrics['first'], [values(params)[0]], 0, 1e-6, 'a metric');
        const gradient = tf.add(clipped.gradients[0], tf.mul(params, weightDecay));
        ({params, state: moments} = adamw(params, gradient, moments, step, ADAM));
        state = updated.state;
        expectClose(state['params'] as tf.Tensor, values(params), 1e-6, 1e-6, 'parameters');
        expectClose(state['first'] as tf.Tensor, values(moments.first), 1e-9, 1e-5, 'm');
        expectClose(state['second'] as tf.Tensor, values(moments.second), 1e-12, 1e-5, 'v');
      }
    });
  }
});
