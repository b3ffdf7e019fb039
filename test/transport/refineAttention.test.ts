/** Refined attention in batches: each pair as by itself, words only, gradients where they are asked for, compiled and eager. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import type {CrossAttention} from '../../src/encoder.js';
import type {Device} from '../../src/engine/device.js';
import {openOrtDevice} from '../../src/engine/ortDevice.js';
import {ConfigError} from '../../src/errors.js';
import {float32, type NdArray} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';
import {mapTree, type Params} from '../../src/tensor/tree.js';
import {gridGeometry} from '../../src/transport/gridGeometry.js';
import {refineByTransport, transportPrior, type RefineOptions} from '../../src/transport/refineAttention.js';
import {expectClose, values} from '../support/golden.js';

const [B, HEADS, N, D] = [3, 2, 5, 6];
const geometry = gridGeometry(2, 2, 2);
const M = geometry.frames.length;

const draw = (purpose: string, ...shape: number[]): NdArray<'float32'> =>
  float32(normals({seed: 21, purpose}, new Float32Array(shape.reduce((a, b) => a * b, 1))), shape);
/** Caption 0 has three words, caption 1 two, caption 2 none. */
const lexical = float32([0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0], [B, N]);
const inputs = {logits: draw('logits', B, HEADS, N, M), queries: draw('queries', B, N, D), keys: draw('keys', B, M, D), lexical};

type Named = Record<'logits' | 'queries' | 'keys' | 'lexical', tf.Tensor>;
const toTensors = (given: Params): Named => mapTree(given, (x) => tf.tensor(x.data.slice(), [...x.shape])) as Named;
const layerOf = ({logits, queries, keys, lexical: mask}: Named): CrossAttention => ({
  layer: 0,
  weights: tf.softmax(logits),
  queries,
  keys,
  text: {cls: queries, states: queries, valid: mask, lexical: mask},
});
const rowsOf = (array: NdArray<'float32'>, b: number): NdArray<'float32'> => {
  const size = array.data.length / B;
  return float32(array.data.slice(b * size, (b + 1) * size), [1, ...array.shape.slice(1)]);
};
const solvers: readonly RefineOptions[] = [
  {solver: 'unbalanced'},
  {solver: 'balanced'},
  {solver: 'partial', mass: 0.8},
  // In the log domain: 1/ε is more than kernels hold.
  {solver: 'unbalanced', epsilon: 0.02},
];

describe('transport: refined attention', () => {
  it('changes words alone, whose rows still sum to 1, in every head', () => {
    for (const options of solvers) {
      const layer = layerOf(toTensors(inputs));
      const before = values(layer.weights);
      const after = values(refineByTransport(geometry, options)(layer));
      for (let row = 0; row < B * HEADS * N; row++) {
        const word = lexical.data[Math.floor(row / (HEADS * N)) * N + (row % N)] === 1;
        const [was, is] = [before, after].map((x) => x.slice(row * M, (row + 1) * M));
        expect(is.reduce((s, v) => s + v, 0)).to.be.closeTo(1, 1e-5);
        const change = Math.max(...is.map((v, j) => Math.abs(v - was[j])));
        if (word) expect(change).to.be.greaterThan(1e-3);
        else expect(is).to.deep.equal(was);
      }
    }
  });

  it('of a pair is the same in any batch', () => {
    const all = values(refineByTransport(geometry)(layerOf(toTensors(inputs))));
    const size = all.length / B;
    for (let b = 0; b < B; b++) {
      const one = layerOf(toTensors(mapTree(inputs, (x) => rowsOf(x, b))));
      expectClose(refineByTransport(geometry)(one), all.slice(b * size, (b + 1) * size), 1e-7);
    }
  });

  it('does not depend on what stands in rows that are no words', () => {
    const prior = values(transportPrior(layerOf(toTensors(inputs)), geometry));
    const changed = {
      ...inputs,
      queries: float32(
        inputs.queries.data.map((q, at) => (Math.floor(at / D) % N === 0 ? 9 : q)),
        [B, N, D],
      ),
    };
    expectClose(transportPrior(layerOf(toTensors(changed)), geometry), prior, 1e-7);
    // The first row is no word; its prior is empty.
    expect(prior.slice(0, M)).to.deep.equal(new Array(M).fill(0));
  });

  it('has the solution of its problem as prior at the default number of rounds', () => {
    for (const solver of ['unbalanced', 'balanced', 'partial'] as const) {
      const layer = layerOf(toTensors(inputs));
      const far = values(transportPrior(layer, geometry, {solver, iterations: 150}));
      expectClose(transportPrior(layer, geometry, {solver}), far, 1e-3, 0, solver);
    }
  });

  it('lets gradients reach the attention alone, unless they are to go through the plan', () => {
    const {logits, queries, keys, lexical: mask} = toTensors(inputs);
    const weight = toTensors({logits: draw('weight', B, HEADS, N, M)}).logits;
    const loss =
      (options: RefineOptions) =>
      (q: tf.Tensor, k: tf.Tensor, l: tf.Tensor): tf.Scalar =>
        tf.sum(tf.mul(refineByTransport(geometry, options)(layerOf({logits: l, queries: q, keys: k, lexical: mask})), weight));
    const gradients = (options: RefineOptions): number[][] => tf.grads(loss(options))([queries, keys, logits]).map(values);
    const [dQueries, dKeys, dLogits] = gradients({});
    expect(Math.max(...dQueries.map(Math.abs), ...dKeys.map(Math.abs))).to.equal(0);
    expect(Math.max(...dLogits.map(Math.abs))).to.be.greaterThan(0.01);
    for (const solver of ['unbalanced', 'balanced', 'partial'] as const) {
      const options: RefineOptions = {solver, mass: 0.8, epsilon: 0.2, iterations: 25};
      const unrolled = gradients({...options, throughPlan: 'unrolled'});
      const implicit = gradients({...options, throughPlan: 'implicit'});
      unrolled.forEach((wanted, i) => {
        expect(wanted.every(Number.isFinite), solver).to.equal(true);
        expect(Math.max(...wanted.map(Math.abs)), solver).to.be.greaterThan(1e-3);
        expectClose(implicit[i], wanted, 2e-4, 1e-3, `${solver} ${i}`);
      });
      // Along one direction, by differences.
      const direction = values(toTensors({logits: draw('direction', B, N, D)}).logits);
      const along = (by: number): number => {
        const moved = tf.tensor(
          values(queries).map((v, at) => v + by * direction[at]),
          [B, N, D],
        );
        return loss({...options, throughPlan: 'unrolled'})(moved, keys, logits).dataSync()[0];
      };
      const slope = unrolled[0].reduce((sum, g, at) => sum + g * direction[at], 0);
      expect((along(5e-3) - along(-5e-3)) / 1e-2, solver).to.be.closeTo(slope, 0.02 * Math.abs(slope) + 2e-3);
    }
  });

  it('refuses a mass that is none', () => {
    expect(() => refineByTransport(geometry, {mass: 0})).to.throw(ConfigError, /mass must be in \(0, 1\]; got 0/);
    expect(() => refineByTransport(geometry, {mass: 1.01})).to.throw(ConfigError, /got 1.01/);
  });
});

describe('transport: refined attention, compiled', () => {
  let device: Device;
  before(async () => {
    device = await openOrtDevice('cpu', {provider: 'cpu', threads: 1}, {});
  });
  after(() => device.close());

  it('is the eager one, with its gradient', async () => {
    for (const options of [
      ...solvers,
      {throughPlan: 'implicit', floor: 'max', spatialRange: 'paper', unplaced: 'free'} as const,
    ]) {
      const fn = (given: Named): Record<string, tf.Tensor> => {
        const refine = refineByTransport(geometry, {...options, iterations: 5});
        const refined = (l: tf.Tensor): tf.Tensor => refine(layerOf({...given, logits: l}));
        return {
          refined: refined(given.logits),
          gradient: tf.grad((l: tf.Tensor) => tf.sum(tf.square(refined(l))))(given.logits),
        };
      };
      const {outputs} = await device.jit('refine', (given) => fn(given as Named))(inputs);
      const eager = fn(toTensors(inputs));
      for (const name of ['refined', 'gradient']) {
        expectClose((outputs[name] as NdArray).data, values(eager[name]), 1e-5, 1e-4, `${options.solver} ${name}`);
      }
    }
  });
});
