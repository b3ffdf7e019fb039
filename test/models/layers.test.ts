import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import {expect} from 'chai';
import '../../src/autograd/index.js';
import {layerNorm} from '../../src/autograd/fused.js';
import {attention, gelu, geluFeedForward, linear, modulatedNorm} from '../../src/models/layers.js';
import {normals} from '../../src/tensor/random.js';

let calls = 0;
const random = (...shape: number[]): tf.Tensor =>
  tf.tensor(normals({seed: 1, purpose: 'layers', sample: calls++}, new Float32Array(tf.util.sizeFromShape(shape))), shape);

/** Largest difference over the largest element. */
function difference(a: tf.Tensor, b: tf.Tensor): number {
  expect(a.shape).to.deep.equal(b.shape);
  const [p, q] = [a.dataSync(), b.dataSync()];
  const largest = Math.max(...q.map(Math.abs));
  return Math.max(...p.map((x, i) => Math.abs(x - q[i]))) / largest;
}

type F = (...xs: tf.Tensor[]) => tf.Tensor;

/** Value and gradients of a fixed random projection of the result agree with those of the plain composition. */
function agree(fast: F, plain: F, inputs: tf.Tensor[]): void {
  const weights = random(...fast(...inputs).shape);
  const loss =
    (f: F) =>
    (...xs: tf.Tensor[]): tf.Scalar =>
      tf.sum(tf.mul(f(...xs), weights));
  expect(difference(fast(...inputs), plain(...inputs)), 'value').to.be.below(2e-6);
  const [mine, theirs] = [tf.grads(loss(fast))(inputs), tf.grads(loss(plain))(inputs)];
  mine.forEach((g, i) => expect(difference(g, theirs[i]), `gradient ${i}`).to.be.below(2e-5));
}

const softmaxOfLogits = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, scale: number, bias?: tf.Tensor): tf.Tensor => {
  const logits = tf.mul(tf.matMul(q, k, false, true), scale);
  const shifted = bias ? tf.add(logits, tf.reshape(bias, [bias.shape[0], 1, 1, bias.shape[1]!])) : logits;
  return tf.matMul(tf.softmax(shifted), v);
};

describe('layers', () => {
  before(async () => {
    await tf.setBackend('cpu');
  });

  it('attention equals its definition, value and gradients', () => {
    const inputs = [random(2, 3, 5, 4), random(2, 3, 6, 4), random(2, 3, 6, 4)];
    agree(
      (q, k, v) => attention(q, k, v, 0.7),
      (q, k, v) => softmaxOfLogits(q, k, v, 0.7),
      inputs,
    );
  });

  it('attention adds the bias of a key to its logits and ignores keys at -1e4', () => {
    const inputs = [random(2, 3, 5, 4), random(2, 3, 6, 4), random(2, 3, 6, 4)];
    const bias = tf.tensor2d([
      [0, 0.5, 0, -1, 0, -1e4],
      [0, 0, 0, 0, -1e4, -1e4],
    ]);
    agree(
      (q, k, v) => attention(q, k, v, 0.7, bias),
      (q, k, v) => softmaxOfLogits(q, k, v, 0.7, bias),
      inputs,
    );
    const [q, k, v] = inputs;
    const changed = tf.add(v, tf.tensor2d([0, 0, 0, 0, 0, 100], [6, 1]));
    expect(difference(attention(q, k, changed, 0.7, bias), attention(q, k, v, 0.7, bias))).to.be.below(1e-6);
  });

  it('modulatedNorm equals its definition, value and gradients', () => {
    agree(modulatedNorm, (x, scale, shift) => tf.add(tf.mul(layerNorm(x), tf.add(scale, 1)), shift), [
      random(3, 5, 8),
      random(3, 1, 8),
      random(3, 1, 8),
    ]);
  });

  it('gelu has the published values and the derivative Φ(x) + x·φ(x)', () => {
    // x·Φ(x) with Φ from a table of the normal distribution function.
    const x = tf.tensor1d([-3, -1, -0.5, 0, 0.5, 1, 2]);
    const wanted = [-0.00404969, -0.15865525, -0.15426877, 0, 0.34573123, 0.84134475, 1.9544997];
    gelu(x)
      .dataSync()
      .forEach((y, i) => expect(y).to.be.closeTo(wanted[i], 2e-6));
    const derivative = [-0.01194565, -0.08331547, 0.13250487, 0.5, 0.86749513, 1.08331547, 1.08523184];
    tf.grad((t: tf.Tensor) => tf.sum(gelu(t)))(x)
      .dataSync()
      .forEach((y, i) => expect(y).to.be.closeTo(derivative[i], 2e-6));
  });

  it('geluFeedForward equals two affine maps around a gelu, value and gradients', () => {
    const net =
      (
        f: (
          params: {in: {weight: tf.Tensor; bias: tf.Tensor}; out: {weight: tf.Tensor; bias: tf.Tensor}},
          x: tf.Tensor,
        ) => tf.Tensor,
      ): F =>
      (x, w1, b1, w2, b2) =>
        f({in: {weight: w1, bias: b1}, out: {weight: w2, bias: b2}}, x);
    const erfGelu = (x: tf.Tensor): tf.Tensor => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
    agree(
      net(geluFeedForward),
      net((p, x) => linear(p.out, erfGelu(linear(p.in, x)))),
      [random(2, 5, 4), random(4, 6), random(6), random(6, 3), random(3)],
    );
  });
});
