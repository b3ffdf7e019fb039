import * as tf from '@tensorflow/tfjs-core';
import {adamCorrections, adamw, type AdamWState} from '../../../src/numeric/optim/adamw.js';
import {clipByGlobalNorm} from '../../../src/numeric/optim/clip.js';
import type {Branch} from '../../../src/tensor/tree.js';
import {ADAM, adamUpdates} from '../../../src/transport/maps/adam.js';
import {expectClose, values} from '../../support/golden.js';

describe('adamUpdates', () => {
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
        const {state: next, metrics} = adamUpdates(state, [{loss, step}], {weightDecay, maxGradientNorm});
        const clipped = clipByGlobalNorm([tf.mul(tf.mul(c, params), 2)], tf.scalar(maxGradientNorm));
        expectClose(metrics[0]['gradientNorm'], values(clipped.norm), 0, 1e-6, 'norm');
        expectClose(metrics[0]['loss'], values(tf.sum(tf.mul(c, tf.square(params)))), 0, 1e-5, 'loss');
        expectClose(metrics[0]['first'], [values(params)[0]], 0, 1e-6, 'a metric');
        const gradient = tf.add(clipped.gradients[0], tf.mul(params, weightDecay));
        ({params, state: moments} = adamw(params, gradient, moments, step, ADAM));
        state = next;
        expectClose(state['params'] as tf.Tensor, values(params), 1e-6, 1e-6, 'parameters');
        expectClose(state['first'] as tf.Tensor, values(moments.first), 1e-9, 1e-5, 'm');
        expectClose(state['second'] as tf.Tensor, values(moments.second), 1e-12, 1e-5, 'v');
      }
    });
  }

  it('does in a row what it does one by one', () => {
    // Weights of the gradient's parts far apart, so that clipping changes from update to update.
    const losses = [1e3, 1e-3, 0, 7].map((weight) => (p: tf.Tensor) => ({
      loss: tf.mul(tf.sum(tf.square(p)), weight),
      metrics: {},
    }));
    const rule = {weightDecay: 0, maxGradientNorm: 0.5};
    const updates = losses.map((loss, n) => {
      const {correction1, correction2} = adamCorrections(n + 1, ADAM);
      return {
        loss,
        step: {learningRate: tf.scalar(0.05), correction1: tf.scalar(correction1), correction2: tf.scalar(correction2)},
      };
    });
    const start = {params: tf.tensor1d([1, -2, 3]), first: tf.zeros([3]), second: tf.zeros([3])};
    const row = adamUpdates(start, updates, rule);
    let alone: Branch<tf.Tensor> = start;
    for (const [n, update] of updates.entries()) {
      const updated = adamUpdates(alone, [update], rule);
      alone = updated.state;
      expectClose(row.metrics[n]['gradientNorm'], values(updated.metrics[0]['gradientNorm']), 0, 1e-6, `norm ${n}`);
    }
    for (const name of ['params', 'first', 'second'])
      expectClose(row.state[name] as tf.Tensor, values(alone[name] as tf.Tensor), 1e-12, 1e-6, name);
  });
});
