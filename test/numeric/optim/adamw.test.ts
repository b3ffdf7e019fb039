import * as tf from '@tensorflow/tfjs-core';
import {adamCorrections, adamw, type AdamWState} from '../../../src/numeric/optim/adamw.js';
import {cases, expectClose, expectOutput, numbers, tensor, values, type Case} from '../../support/golden.js';

interface Params {
  lr: number;
  betas: [number, number];
  eps: number;
  weight_decay: number;
  steps: number;
  decoupled: boolean;
}

/** Runs the updates of a case on one of its parameters. */
function run(c: Case<Params>, which: 0 | 1): {params: tf.Tensor; afterOne: tf.Tensor; state: AdamWState} {
  const {lr, betas, eps, weight_decay: weightDecay, steps, decoupled} = c.params;
  const options = {beta1: betas[0], beta2: betas[1], epsilon: eps, weightDecay: decoupled ? weightDecay : 0};
  let params = tensor(c.inputs[`p${which}`]);
  let afterOne = params;
  let state: AdamWState = {first: tf.zerosLike(params), second: tf.zerosLike(params)};
  const gradients = tf.unstack(tensor(c.inputs[`g${which}`]));
  for (let n = 1; n <= steps; n++) {
    // Adam's own L2 is a term of the gradient.
    const gradient = decoupled ? gradients[n - 1] : tf.add(gradients[n - 1], tf.mul(params, weightDecay));
    const {correction1, correction2} = adamCorrections(n, options);
    const step = {learningRate: tf.scalar(lr), correction1: tf.scalar(correction1), correction2: tf.scalar(correction2)};
    ({params, state} = adamw(params, gradient, state, step, options));
    if (n === 1) afterOne = params;
  }
  return {params, afterOne, state};
}

describe('adamw', () => {
  for (const c of cases<Params>('optim.json', 'adamw', 'adam')) {
    it(`matches ${c.name} of torch`, () => {
      const first = run(c, 0);
      expectOutput(c, 'p0', first.params);
      expectOutput(c, 'p1', run(c, 1).params);
      expectOutput(c, 'p0_after_1', first.afterOne);
      expectOutput(c, 'exp_avg0', first.state.first);
      expectOutput(c, 'exp_avg_sq0', first.state.second);
    });
  }

  it('moves by the learning rate against the sign of the first gradient, whatever its size', () => {
    const params = tf.tensor1d([1, 1, 1]);
    const options = {beta1: 0.9, beta2: 0.999, epsilon: 0, weightDecay: 0};
    const {correction1, correction2} = adamCorrections(1, options);
    const step = {learningRate: tf.scalar(0.01), correction1: tf.scalar(correction1), correction2: tf.scalar(correction2)};
    const zero = {first: tf.zeros([3]), second: tf.zeros([3])};
    expectClose(adamw(params, tf.tensor1d([5, -1e-3, 80]), zero, step, options).params, [0.99, 1.01, 0.99], 1e-6);
  });

  it('decays weights by learning rate times decay when there is no gradient', () => {
    const params = tf.tensor1d([2, -4]);
    const zero = {first: tf.zeros([2]), second: tf.zeros([2])};
    const step = {learningRate: tf.scalar(0.1), correction1: tf.scalar(0.1), correction2: tf.scalar(0.001)};
    const options = {beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.5};
    expectClose(
      adamw(params, tf.zeros([2]), zero, step, options).params,
      values(params).map((p) => p * 0.95),
      1e-6,
    );
  });

  it('has corrections that make the first averages unbiased', () => {
    const {correction1, correction2} = adamCorrections(3, {beta1: 0.9, beta2: 0.99, epsilon: 0, weightDecay: 0});
    expectClose([correction1, correction2], [0.1 * (1 + 0.9 + 0.81), 0.01 * (1 + 0.99 + 0.9801)], 1e-15);
    expectClose(numbers(correction1), [0.271], 1e-15);
  });
});
