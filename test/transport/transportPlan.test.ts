/** Plans in the graph: the released code's, the array solvers', padding, gradients by three ways, compiled and eager. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {ConfigError} from '../../src/errors.js';
import type {Device} from '../../src/engine/device.js';
import {openOrtDevice} from '../../src/engine/ortDevice.js';
import type {NumericFunction} from '../../src/engine/trace.js';
import {float32, type NdArray} from '../../src/tensor/ndarray.js';
import {leaves, mapTree, type Params} from '../../src/tensor/tree.js';
import {normals, uniforms} from '../../src/tensor/random.js';
import {penaltyOfMass, type Entropy} from '../../src/transport/formulation.js';
import {logSinkhorn} from '../../src/transport/logSinkhorn.js';
import {transportPlan, type TransportPlanOptions} from '../../src/transport/transportPlan.js';
import {uniformOver} from '../../src/transport/scalingRounds.js';
import {cases, expectClose, expectOutput, tensor, values} from '../support/golden.js';
import {problems, type PlanParams} from '../support/plans.js';

/** With kernels, and in the log domain. */
const domains = [1, undefined];
const costs = (seed: number, ...shape: number[]): NdArray<'float32'> =>
  float32(uniforms({seed, purpose: 'costs'}, new Float32Array(shape.reduce((a, b) => a * b, 1))), shape);
const weights = (seed: number, n: number): Float32Array => {
  const raw = uniforms({seed, purpose: 'weights'}, new Float32Array(n)).map((u) => u + 0.3);
  const sum = raw.reduce((s, v) => s + v, 0);
  return raw.map((v) => v / sum);
};
const asTensor = ({data, shape}: NdArray<'float32'>): tf.Tensor => tf.tensor(data.slice(), [...shape]);

describe('transport: plans in the graph', () => {
  for (const c of cases<PlanParams>('pot.json', 'plan')) {
    it(`are the released code's, and stop where it stops: ${c.name}`, () => {
      const {epsilon, transported_mass, max_iterations, tolerance, iterations_used} = c.params;
      for (const largestCost of iterations_used > 20 ? [1] : domains) {
        const plan = transportPlan(tensor(c.inputs['cost']), {
          transport: {problem: 'unbalanced', penalty: penaltyOfMass(transported_mass, epsilon)},
          epsilon,
          // A few rounds after it has stopped must change nothing.
          iterations: Math.min(max_iterations, iterations_used + 4),
          tolerance,
          largestCost,
        });
        // Below 1e-5 the stop is a matter of rounding.
        expectOutput(c, 'plan', plan, tolerance > 0 && tolerance < 1e-5 ? 2e-5 : 0);
      }
    });
  }

  it('are those of the array solver, for any problem, entropy and marginals', () => {
    const [rows, columns, epsilon] = [5, 8, 0.05];
    const cost = costs(1, 3, rows, columns);
    const [a, b] = [weights(2, rows), weights(3, columns)];
    for (const transport of problems) {
      for (const entropy of ['plain', 'relative'] as Entropy[]) {
        const batch = {costs: cost.data, count: 3, rows, columns, rowWeights: a, columnWeights: b};
        const {plan} = logSinkhorn(batch, {transport, epsilon, entropy, iterations: 20, tolerance: 0});
        for (const largestCost of domains) {
          const found = transportPlan(asTensor(cost), {
            transport,
            epsilon,
            entropy,
            rowWeights: tf.tensor1d(a),
            columnWeights: tf.tensor1d(b),
            iterations: 20,
            largestCost,
          });
          expectClose(found, plan, 2e-6, 2e-5, `${transport.problem} ${entropy} ${largestCost}`);
        }
      }
    }
  });

  it('stay exact for costs that kernels cannot hold', () => {
    const cost = costs(4, 1, 4, 6);
    const batch = {costs: cost.data, count: 1, rows: 4, columns: 6};
    const options = {transport: problems[1], epsilon: 2e-3, iterations: 60};
    const {plan} = logSinkhorn(batch, {...options, tolerance: 0});
    // 1/ε = 500: the declared bound keeps it out of the kernel domain.
    expectClose(transportPlan(asTensor(cost), {...options, largestCost: 1}), plan, 2e-5, 1e-3);
  });

  it('do not see padding, and are 0 where everything is padding', () => {
    const [rows, columns] = [4, 6];
    const cost = costs(5, 1, 1, rows, columns);
    const wide = new Float32Array(2 * 6 * 9).fill(0.5);
    const keptRows = [0, 1, 3, 4];
    const keptColumns = [0, 2, 3, 5, 6, 7];
    keptRows.forEach((to, i) => keptColumns.forEach((at, j) => (wide[to * 9 + at] = cost.data[i * columns + j])));
    const maskOf = (kept: readonly number[], n: number): number[] =>
      Array.from({length: n}, (_, i) => (kept.includes(i) ? 1 : 0));
    const rowMask = tf.tensor([...maskOf(keptRows, 6), ...maskOf([], 6)], [2, 1, 6]);
    const columnMask = tf.tensor(maskOf(keptColumns, 9), [1, 1, 9]);
    for (const transport of problems) {
      for (const largestCost of domains) {
        for (const throughPlan of [false, 'unrolled', 'implicit'] as const) {
          const options: TransportPlanOptions = {
            transport,
            epsilon: 0.05,
            iterations: 8,
            largestCost,
            tolerance: 1e-3,
            throughPlan,
          };
          const padded: TransportPlanOptions = {
            ...options,
            rowWeights: uniformOver(rowMask),
            columnWeights: uniformOver(columnMask),
          };
          const plan = (c: tf.Tensor): tf.Tensor => transportPlan(c, padded);
          const bare = values(transportPlan(asTensor(cost), options));
          const wanted = new Float32Array(2 * 6 * 9);
          keptRows.forEach((to, i) => keptColumns.forEach((at, j) => (wanted[to * 9 + at] = bare[i * columns + j])));
          const batch = tf.tensor(wide, [2, 1, 6, 9]);
          expectClose(plan(batch), wanted, 2e-7, 2e-6, transport.problem);
          const gradient = values(tf.grad((c: tf.Tensor) => tf.sum(tf.square(plan(c))))(batch));
          expect(gradient.every(Number.isFinite), `${transport.problem} ${largestCost} ${throughPlan}`).to.equal(true);
          wanted.forEach((w, at) => {
            if (w === 0) expect(Math.abs(gradient[at])).to.equal(0);
          });
        }
      }
    }
  });

  it('of a batch are those of its members', () => {
    const cost = costs(6, 4, 3, 5);
    const options: TransportPlanOptions = {
      transport: problems[1],
      epsilon: 0.05,
      iterations: 40,
      tolerance: 1e-3,
      largestCost: 1,
    };
    const all = values(transportPlan(asTensor(cost), options));
    for (let k = 0; k < 4; k++) {
      const one = transportPlan(tf.tensor(cost.data.slice(k * 15, (k + 1) * 15), [1, 3, 5]), options);
      expect(values(one)).to.deep.equal(all.slice(k * 15, (k + 1) * 15));
    }
  });

  it('pass gradients on by the rounds or by the fixed point, as differences do; by default none', () => {
    const [rows, columns, epsilon] = [3, 4, 0.25];
    const cost = costs(7, 1, rows, columns);
    const [a, b] = [weights(8, rows), weights(9, columns)];
    const towards = normals({seed: 7, purpose: 'weight'}, new Float32Array(rows * columns));
    const weight = tf.tensor(towards, [1, rows, columns]);
    for (const transport of problems) {
      // The entropy decides for an unbalanced plan alone, and for a partial one of unequal weights.
      for (const entropy of (transport.problem === 'balanced' ? ['plain'] : ['plain', 'relative']) as Entropy[]) {
        const value = (data: Float64Array): number => {
          const batch = {costs: data, count: 1, rows, columns, rowWeights: a, columnWeights: b};
          const {plan} = logSinkhorn(batch, {transport, epsilon, entropy, iterations: 20_000, tolerance: 1e-13});
          return plan.reduce((sum, p, i) => sum + p * towards[i], 0);
        };
        const exact = Float64Array.from(cost.data);
        const step = 1e-5;
        const differences = exact.map((_, i) => {
          const nudged = (by: number): number => value(exact.map((c, j) => (j === i ? c + by : c)));
          return (nudged(step) - nudged(-step)) / (2 * step);
        });
        const gradient = (throughPlan: TransportPlanOptions['throughPlan'], largestCost?: number): tf.Tensor =>
          tf.grad((c: tf.Tensor) =>
            tf.sum(
              tf.mul(
                transportPlan(c, {
                  transport,
                  epsilon,
                  entropy,
                  rowWeights: tf.tensor1d(a),
                  columnWeights: tf.tensor1d(b),
                  iterations: 30,
                  largestCost,
                  throughPlan,
                }),
                weight,
              ),
            ),
          )(asTensor(cost));
        const name = `${transport.problem} ${entropy}`;
        expect(Math.max(...differences.map(Math.abs)), name).to.be.greaterThan(0.05);
        expectClose(gradient('unrolled', 1), differences, 1e-4, 1e-3, `${name}, unrolled`);
        expectClose(gradient('implicit', 1), differences, 1e-4, 1e-3, `${name}, implicit`);
        expectClose(gradient('implicit'), differences, 1e-4, 1e-3, `${name}, implicit in the log domain`);
        expectClose(gradient(false, 1), new Float32Array(rows * columns), 0);
      }
    }
  });

  it('refuse a number of rounds that is none', () => {
    expect(() => transportPlan(tf.zeros([2, 2]), {transport: problems[0], epsilon: 0.1, iterations: 0})).to.throw(
      ConfigError,
      /iterations must be an integer of at least 1; got 0/,
    );
  });
});

describe('transport: compiled plans', () => {
  let device: Device;
  before(async () => {
    device = await openOrtDevice('cpu', {provider: 'cpu', threads: 1}, {});
  });
  after(() => device.close());

  async function expectSame(name: string, fn: NumericFunction, inputs: Params): Promise<void> {
    const {outputs} = await device.jit(name, fn)(inputs);
    const eager = fn(mapTree(inputs, (x) => tf.tensor(x.data, [...x.shape])));
    const compiled = new Map(leaves<NdArray>(outputs));
    for (const [path, value] of leaves<tf.Tensor>(eager)) {
      expectClose(compiled.get(path)!.data, values(value), 2e-6, 2e-5, `${name}: ${path}`);
    }
  }

  it('are the eager ones, and so are their gradients', async () => {
    const inputs = {cost: costs(10, 2, 2, 4, 7), mask: float32([1, 1, 0, 1, 1, 1, 1, 1], [2, 1, 4])};
    for (const transport of problems) {
      for (const largestCost of domains) {
        await expectSame(
          `${transport.problem} ${largestCost}`,
          (given) => {
            const {cost, mask} = given as Record<string, tf.Tensor>;
            const plan = (c: tf.Tensor, throughPlan: TransportPlanOptions['throughPlan'], tolerance?: number): tf.Tensor =>
              transportPlan(c, {
                transport,
                epsilon: 0.05,
                rowWeights: uniformOver(mask),
                iterations: 4,
                tolerance,
                largestCost,
                throughPlan,
              });
            const gradient = (way: 'unrolled' | 'implicit'): tf.Tensor =>
              tf.grad((c: tf.Tensor) => tf.sum(tf.square(plan(c, way))))(cost);
            return {
              plan: plan(cost, false),
              stopped: plan(cost, false, 1e-2),
              unrolled: gradient('unrolled'),
              implicit: gradient('implicit'),
            };
          },
          inputs,
        );
      }
    }
  });
});
