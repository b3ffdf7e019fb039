import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {adaptedWeight, initialLowRank, lowRankProduct, mergedWeight, type LowRank} from '../../src/numeric/lora.js';
import {float32} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';
import {cases, expectClose, expectOutput, tensor, values, type Case} from '../support/golden.js';

/** peft's factors, `[r, in]` and `[out, r]`, or those of a convolution as matrices, in our orientation; B is scaled. */
function factorsOf(c: Case<{scaling: number}>): {weight: tf.Tensor; factors: LowRank<tf.Tensor>} {
  const matrix = (name: string): tf.Tensor => {
    const t = tensor(c.inputs[name]);
    return tf.transpose(tf.reshape(t, [t.shape[0], -1]));
  };
  return {weight: matrix('weight'), factors: {A: matrix('A'), B: tf.mul(matrix('B'), c.params.scaling)}};
}

const drawn = (purpose: string, shape: number[]): tf.Tensor =>
  tf.tensor(normals({seed: 1, purpose}, new Float32Array(shape.reduce((n, d) => n * d, 1))), shape);

describe('lora', () => {
  for (const c of cases<{scaling: number}>('optim.json', 'lora')) {
    it(`matches ${c.name} of peft`, () => {
      const {weight, factors} = factorsOf(c);
      const merged = adaptedWeight(weight, factors);
      // As peft stores it: [out, in], or [out, in, height, width].
      expectOutput(c, 'merged_weight', tf.transpose(merged));
      if (c.name.startsWith('lora/conv')) return;
      const [x, bias, ofSum] = ['x', 'bias', 'weight_of_sum'].map((name) => tensor(c.inputs[name]));
      expectOutput(c, 'y', tf.add(lowRankProduct(x, merged, factors), bias));
      expectOutput(c, 'y_adapter_off', tf.add(tf.matMul(x, weight), bias));
      const total = (A: tf.Tensor, B: tf.Tensor): tf.Scalar => {
        const pair = {A, B: tf.mul(B, c.params.scaling)};
        return tf.sum(tf.mul(lowRankProduct(x, adaptedWeight(weight, pair), pair), ofSum));
      };
      const [dA, dB] = tf.grads(total)([factors.A, tf.div(factors.B, c.params.scaling)]);
      expectOutput(c, 'grad_A', tf.transpose(dA));
      expectOutput(c, 'grad_B', tf.transpose(dB));
    });
  }

  it('sends its gradient to the factors as it would go through the whole weight', () => {
    const [n, inputs, outputs, rank] = [5, 24, 32, 3];
    const [x, weight, ofSum] = [drawn('x', [n, inputs]), drawn('w', [inputs, outputs]), drawn('s', [n, outputs])];
    const at = [x, drawn('A', [inputs, rank]), drawn('B', [rank, outputs])];
    const through = (product: (x: tf.Tensor, w: tf.Tensor, pair: LowRank<tf.Tensor>) => tf.Tensor): tf.Tensor[] =>
      tf.grads((X: tf.Tensor, A: tf.Tensor, B: tf.Tensor) =>
        tf.sum(tf.mul(product(X, adaptedWeight(weight, {A, B}), {A, B}), ofSum)),
      )(at);
    // Few enough columns that the short way is the shorter one; its products then have no row of the weight's length.
    expect(2 * rank * (inputs + outputs)).to.be.below(inputs * outputs);
    const [short, whole] = [through(lowRankProduct), through((X, w) => tf.matMul(X, w))];
    short.forEach((gradient, i) => expectClose(gradient, values(whole[i]), 2e-5, 1e-5, ['x', 'A', 'B'][i]));
  });

  it('merges arrays to what tensors are merged to, within a rounding', () => {
    const [weight, A, B] = [drawn('w', [4, 6]), drawn('A', [4, 2]), drawn('B', [2, 6])];
    const array = (t: tf.Tensor) => float32(values(t), t.shape);
    const merged = mergedWeight(array(weight), {A: array(A), B: array(B)}, 0.5);
    expectClose(merged.data, values(adaptedWeight(weight, {A, B: tf.mul(B, 0.5)})), 1e-6);
  });

  it('begins with B zero and A uniform in ±1/√in', () => {
    const {A, B} = initialLowRank(400, 30, 50, {seed: 1, purpose: 'lora/test'});
    expect([A.shape, B.shape]).to.deep.equal([
      [400, 50],
      [50, 30],
    ]);
    expect(B.data.every((b) => b === 0)).to.equal(true);
    const bound = 1 / 20;
    expect(Math.max(...A.data.map(Math.abs))).to.be.within(0.999 * bound, bound);
    const square = A.data.reduce((sum, a) => sum + a * a, 0) / A.data.length;
    expect(square).to.be.closeTo(bound ** 2 / 3, 0.02 * bound ** 2);
    expect(initialLowRank(400, 30, 50, {seed: 2, purpose: 'lora/test'}).A.data[0]).not.to.equal(A.data[0]);
  });
});
