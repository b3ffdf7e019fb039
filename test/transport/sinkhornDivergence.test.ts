/** The debiased divergence: its closed forms, its limits, and its gradient by finite differences. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {ShapeError} from '../../src/errors.js';
import type {Rows} from '../../src/numeric/moments.js';
import {normals} from '../../src/tensor/random.js';
import {assignment} from '../../src/transport/assignment.js';
import {squaredEuclideanMatrix} from '../../src/transport/costMatrices.js';
import {sinkhornDivergence, sinkhornDivergenceLoss} from '../../src/transport/sinkhornDivergence.js';
import {expectClose, values} from '../support/golden.js';

const cloud = (seed: number, n: number, width = 2, shift = 0): Rows => ({
  shape: [n, width],
  data: Float64Array.from(normals({seed, purpose: 'cloud'}, new Float32Array(n * width)), (v) => v + shift),
});
const moved = (x: Rows, by: readonly number[]): Rows => ({
  ...x,
  data: Float64Array.from(x.data, (v, at) => v + by[at % by.length]),
});
const epsilon = 0.5;

describe('transport: Sinkhorn divergence', () => {
  it('is 0 between a set and itself, in any order', () => {
    const x = cloud(1, 8);
    expect(sinkhornDivergence(x, x, {epsilon}).value).to.equal(0);
    const turned = {...x, data: Float64Array.from(x.data, (_, at) => x.data[(at + 6) % 16])};
    expect(sinkhornDivergence(x, turned, {epsilon, tolerance: 1e-10}).value).to.be.closeTo(0, 1e-9);
  });

  it('of a shift is its squared length, whatever ε', () => {
    const x = cloud(2, 9);
    for (const e of [0.3, 2, 50]) {
      const {value, converged} = sinkhornDivergence(x, moved(x, [3, -4]), {epsilon: e, tolerance: 1e-10, iterations: 20_000});
      expect(converged).to.equal(true);
      expect(value, `at ε = ${e}`).to.be.closeTo(25, 1e-6);
    }
  });

  it('is symmetric and positive', () => {
    const [x, y] = [cloud(3, 7), cloud(4, 5)];
    const options = {epsilon, tolerance: 1e-10};
    const there = sinkhornDivergence(x, y, options).value;
    expect(there).to.be.greaterThan(0.01);
    expect(sinkhornDivergence(y, x, options).value).to.be.closeTo(there, 1e-8);
  });

  it('goes from the best assignment to the squared distance of the means as ε grows', () => {
    const [x, y] = [cloud(5, 6), cloud(6, 6, 2, 0.5)];
    const {cost} = assignment(squaredEuclideanMatrix(x, y), 6);
    const sharp = sinkhornDivergence(x, y, {epsilon: 5e-3, iterations: 50_000, tolerance: 1e-8});
    expect(sharp.value).to.be.closeTo(cost / 6, 2e-2);
    const mean = (r: Rows, axis: number): number => Array.from(r.data).reduce((s, v, at) => s + (at % 2 === axis ? v : 0), 0) / 6;
    const distance = [0, 1].reduce((s, axis) => s + (mean(x, axis) - mean(y, axis)) ** 2, 0);
    expect(sinkhornDivergence(x, y, {epsilon: 1e5, tolerance: 1e-13}).value).to.be.closeTo(distance, 1e-3);
  });

  it('counts weights: a point of weight 2 is two points, one of weight 0 is none', () => {
    const [x, y] = [cloud(7, 3), cloud(8, 4)];
    const twice: Rows = {shape: [4, 2], data: [...Array.from(x.data), x.data[4], x.data[5]]};
    const options = {epsilon, tolerance: 1e-11};
    const wanted = sinkhornDivergence(twice, y, options).value;
    expect(sinkhornDivergence(x, y, {...options, xWeights: [0.25, 0.25, 0.5]}).value).to.be.closeTo(wanted, 1e-9);
    const wide: Rows = {shape: [5, 2], data: [...Array.from(twice.data), 99, 99]};
    expect(sinkhornDivergence(wide, y, {...options, xWeights: [0.25, 0.25, 0.25, 0.25, 0]}).value).to.be.closeTo(wanted, 1e-12);
  });

  it('is the same in the graph, with the gradient that differences give', () => {
    const [x, y] = [cloud(9, 5), cloud(10, 4)];
    const of = (data: ArrayLike<number>): Rows => ({shape: [5, 2], data});
    const options = {epsilon, iterations: 5000, tolerance: 1e-12};
    const target = tf.tensor3d(Array.from(y.data), [1, 4, 2]);
    const loss = (p: tf.Tensor): tf.Tensor => sinkhornDivergenceLoss(p, target, {epsilon, iterations: 100});
    const at = tf.tensor3d(Array.from(x.data), [1, 5, 2]);
    expectClose(loss(at), [sinkhornDivergence(x, y, options).value], 3e-6);
    const step = 1e-4;
    const differences = Array.from(x.data, (_, i) => {
      const nudged = (by: number): number =>
        sinkhornDivergence(of(Float64Array.from(x.data, (v, j) => (j === i ? v + by : v))), y, options).value;
      return (nudged(step) - nudged(-step)) / (2 * step);
    });
    expectClose(values(tf.grad((p: tf.Tensor) => tf.sum(loss(p)))(at)), differences, 3e-5, 1e-4);
  });

  it('refuses vectors of different widths', () => {
    expect(() => sinkhornDivergence(cloud(1, 3, 2), cloud(1, 3, 3), {epsilon})).to.throw(ShapeError, /one width; got 2 and 3/);
    expect(() => sinkhornDivergenceLoss(tf.zeros([3, 2]), tf.zeros([3, 3]), {epsilon})).to.throw(ShapeError, /one width/);
  });
});
