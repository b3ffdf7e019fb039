/** The value of an expression: plain numbers against JavaScript, the graph against plain numbers, gradients against differences. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import '../../src/autograd/index.js';
import {parseExpression} from '../../src/expression.js';
import {evaluateExpression, traceExpression} from '../../src/rewards/evaluateExpression.js';
import {groupMeans, groupNormalise} from '../../src/rewards/groupNormalise.js';
import {functions} from '../../src/rewards/operations.js';
import {float32, type NdArray} from '../../src/tensor/ndarray.js';
import {runEagerly} from '../support/eager.js';
import {expectNear} from '../support/near.js';

const names = ['a', 'b'];
const scores = {a: Float32Array.of(0.2, 0.9, 1.7, 0.55, 3.1, 0.8), b: Float32Array.of(1.5, 0.4, 0.6, 2.2, 0.9, 1.1)};
const groups = ['x', 'y', 'x', 'y', 'x', 'z'];

const plain = (text: string, a: ArrayLike<number> = scores.a): number[] => [
  ...evaluateExpression(parseExpression(text, names), {a, b: scores.b}, groups),
];

/** Value `[B]` and ∂(sum of w·value)/∂a, by tfjs. */
function traced(text: string, weights: readonly number[]): {value: Float32Array; gradient: Float32Array} {
  const expression = parseExpression(text, names);
  const means = groupMeans(groups);
  const found = runEagerly(
    (inputs) => {
      const {a, b, means: m, w} = inputs as Record<string, tf.Tensor>;
      const valueOf = (x: tf.Tensor): tf.Tensor => traceExpression(expression, {a: x, b}, m);
      return {value: valueOf(a), gradient: tf.grad((x: tf.Tensor) => tf.sum(tf.mul(valueOf(x), w)))(a)};
    },
    {a: float32(scores.a), b: float32(scores.b), means, w: float32(weights)},
  ) as Record<string, NdArray<'float32'>>;
  return {value: found['value'].data, gradient: found['gradient'].data};
}

const weights = [1, -0.5, 2, 0.25, -1, 0.75];

/** Each operation in an expression, and what JavaScript makes of it. */
const cases: Readonly<Record<string, (a: number, b: number) => number>> = {
  'a + b': (a, b) => a + b,
  'a - 2*b': (a, b) => a - 2 * b,
  '-a*b': (a, b) => -a * b,
  'a/b': (a, b) => a / b,
  '1/a': (a) => 1 / a,
  'min(a, b)': Math.min,
  'max(a, b, 1)': (a, b) => Math.max(a, b, 1),
  'min(0.5, a)': (a) => Math.min(0.5, a),
  'clip(a, 0.5, 1)': (a) => Math.min(1, Math.max(0.5, a)),
  'exp(-a)': (a) => Math.exp(-a),
  'log(a + b)': (a, b) => Math.log(a + b),
  'sqrt(a)': (a) => Math.sqrt(a),
  'tanh(a)': (a) => Math.tanh(a),
  'sigmoid(a - b)': (a, b) => 1 / (1 + Math.exp(b - a)),
  '0.7*sqrt(a) + 0.3*clip(b, 0, 1)*a': (a, b) => 0.7 * Math.sqrt(a) + 0.3 * Math.min(1, Math.max(0, b)) * a,
};

describe('evaluateExpression and traceExpression', () => {
  for (const [text, wanted] of Object.entries(cases)) {
    it(`${text}: numbers, graph and gradient`, () => {
      const values = [...scores.a].map((a, i) => wanted(a, scores.b[i]));
      expectNear(plain(text), values, {rtol: 1e-6, atol: 1e-7}, text);
      const {value, gradient} = traced(text, weights);
      expectNear(value, values, {rtol: 1e-5, atol: 1e-6}, `${text}, graph`);
      const h = 1e-5;
      const slopes = [...scores.a].map(
        (a, i) => (weights[i] * (wanted(a + h, scores.b[i]) - wanted(a - h, scores.b[i]))) / (2 * h),
      );
      expectNear(gradient, slopes, {rtol: 1e-4, atol: 1e-5}, `${text}, gradient`);
    });
  }

  it('every function is among the cases', () => {
    const all = Object.keys(cases).join();
    expect([...functions.keys()].filter((name) => !all.includes(`${name}(`))).to.deep.equal([]);
  });

  it('a value that does not exist is NaN or infinite, for the caller to refuse', () => {
    expect(plain('log(a - 10)').every(Number.isNaN)).to.equal(true);
    expect(plain('1/(a - a)').every((x) => x === Infinity)).to.equal(true);
  });

  it('gives a score for each video where a reward is only part of it', () => {
    expect(plain('0*a + 3')).to.deep.equal([3, 3, 3, 3, 3, 3]);
    expect([...traced('0*a + 3', weights).value]).to.deep.equal([3, 3, 3, 3, 3, 3]);
  });
});

describe('groupNormalise', () => {
  it('gives each group mean 0 and deviation 1, and a group of one 0', () => {
    const z = groupNormalise(scores.a, groups);
    const of = (group: string): number[] => [...z].filter((_, i) => groups[i] === group);
    for (const group of ['x', 'y']) {
      const mean = of(group).reduce((s, v) => s + v, 0) / of(group).length;
      const variance = of(group).reduce((s, v) => s + (v - mean) ** 2, 0) / of(group).length;
      expect(mean).to.be.closeTo(0, 1e-12);
      expect(variance).to.be.closeTo(1, 1e-4);
    }
    expect(of('z')).to.deep.equal([0]);
    // Two samples lie one deviation apart from their mean, whatever they are.
    expect(of('y')[0]).to.be.closeTo(1, 1e-4);
    expect(of('y')[1]).to.be.closeTo(-1, 1e-4);
  });

  it('gives 0, not noise, where all scores of a group are equal', () => {
    expect([...groupNormalise([0.1, 0.1, 0.1], ['x', 'x', 'x'])]).to.deep.equal([0, 0, 0]);
    const equal = {...scores, a: Float32Array.of(0.1, 0.9, 0.1, 0.55, 0.1, 0.8)};
    const expression = parseExpression('groupNormalise(a)', names);
    const {value, gradient} = runEagerly(
      (inputs) => {
        const {a, means} = inputs as Record<string, tf.Tensor>;
        const valueOf = (x: tf.Tensor): tf.Tensor => traceExpression(expression, {a: x}, means);
        return {value: valueOf(a), gradient: tf.grad((x: tf.Tensor) => tf.sum(valueOf(x)))(a)};
      },
      {a: float32(equal.a), means: groupMeans(groups)},
    ) as Record<string, NdArray<'float32'>>;
    for (const i of [0, 2, 4, 5]) {
      expect(value.data[i]).to.equal(0);
      expect(gradient.data[i]).to.equal(0);
    }
  });

  it('sums rewards of any size with equal weight', () => {
    const sum = plain('groupNormalise(a) + groupNormalise(b)');
    const scaled = plain('groupNormalise(1000*a + 7) + groupNormalise(0.01*b)');
    expectNear(scaled, sum, {rtol: 1e-3, atol: 1e-3}, 'scaled');
  });

  it('is the same in a graph', () => {
    for (const text of ['groupNormalise(a)', '2*groupNormalise(a) - groupNormalise(a*b)', 'tanh(groupNormalise(a + b))']) {
      expectNear(traced(text, weights).value, plain(text), {rtol: 1e-4, atol: 1e-5}, text);
    }
  });

  it('holds mean and deviation constant in the gradient: 1/(std + 1e-6) for each, and not 0 in sum', () => {
    const {gradient} = traced('groupNormalise(a)', [1, 1, 1, 1, 1, 1]);
    const stds: Record<string, number> = {};
    for (const group of new Set(groups)) {
      const own = [...scores.a].filter((_, i) => groups[i] === group);
      const mean = own.reduce((s, v) => s + v, 0) / own.length;
      stds[group] = Math.sqrt(own.reduce((s, v) => s + (v - mean) ** 2, 0) / own.length);
    }
    expectNear(
      gradient,
      groups.map((group) => (stds[group] === 0 ? 0 : 1 / (stds[group] + 1e-6))),
      {rtol: 1e-4, atol: 0},
      'gradient',
    );
  });

  it('lays groups out as rows that average', () => {
    const {shape, data} = groupMeans(['x', 'y', 'x']);
    expect(shape).to.deep.equal([3, 3]);
    expect([...data]).to.deep.equal([0.5, 0, 0.5, 0, 1, 0, 0.5, 0, 0.5]);
  });
});
