/** The numeric functions as compiled graphs give the numbers that they give eagerly. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import type {CompileReport, Device} from '../../src/engine/device.js';
import {openOrtDevice} from '../../src/engine/ortDevice.js';
import type {NumericFunction} from '../../src/engine/trace.js';
import {klDivergence} from '../../src/numeric/gaussian.js';
import {adamw} from '../../src/numeric/optim/adamw.js';
import {clipByGlobalNorm} from '../../src/numeric/optim/clip.js';
import {nesterov, orthogonalise} from '../../src/numeric/optim/muon.js';
import {approxKl, clipFraction, clippedSurrogate, klEstimate} from '../../src/numeric/surrogate.js';
import {replay, step} from '../../src/numeric/transition.js';
import {float32, type NdArray} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';
import {leaves, mapTree, type Branch, type Params} from '../../src/tensor/tree.js';
import {expectClose, values} from '../support/golden.js';

const draw = (purpose: string, ...shape: number[]): NdArray<'float32'> =>
  float32(normals({seed: 12, purpose}, new Float32Array(shape.reduce((a, b) => a * b, 1))), shape);
const latents = (purpose: string): NdArray<'float32'> => draw(purpose, 3, 2, 4, 4, 3);

describe('compiled numeric functions', () => {
  let device: Device;
  const reports: CompileReport[] = [];
  before(async () => {
    device = await openOrtDevice('cpu', {provider: 'cpu', threads: 1}, {onCompile: (report) => reports.push(report)});
  });
  after(() => device.close());

  /** Runs a function compiled and eagerly on the same inputs and compares every output. */
  async function expectSame(name: string, fn: NumericFunction, inputs: Params, atol = 1e-6, rtol = 1e-5): Promise<void> {
    const {outputs} = await device.jit(name, fn)(inputs);
    const eager = fn(mapTree(inputs, (a) => tf.tensor(a.data, [...a.shape])));
    const compiled = new Map(leaves<NdArray>(outputs));
    const wanted = leaves<tf.Tensor>(eager);
    expect([...compiled.keys()].sort()).to.deep.equal(wanted.map(([path]) => path).sort());
    for (const [path, value] of wanted) expectClose(compiled.get(path)!.data, values(value), atol, rtol, `${name}: ${path}`);
    expect(reports.at(-1)!.name).to.equal(name);
  }

  const read = (inputs: Branch<tf.Tensor>): Record<string, tf.Tensor> => inputs as Record<string, tf.Tensor>;
  const coefficients = {a: float32([0.9, 0, 0.4]), b: float32([0.1, 1, 0.55]), std: float32([0.3, 0, 0.05])};

  for (const density of ['gaussian', 'cps'] as const) {
    it(`take a step and replay it with its gradient, a deterministic row among them (${density})`, async () => {
      const fn: NumericFunction = (inputs) => {
        const {latent, x0, a, b, std, noise, moved} = read(inputs);
        const {next, logProb} = step({latent, x0, a, b, std, noise}, density);
        const again = (c: tf.Tensor): tf.Tensor => replay({latent, x0: c, a, b, std, next}, density).logProb;
        const gradient = tf.grad((c) => tf.sum(again(c)))(moved);
        return {next, logProb, ratio: tf.exp(tf.sub(again(x0), logProb)), replayed: again(moved), gradient};
      };
      const [latent, x0, noise, moved] = ['latent', 'x0', 'noise', 'moved'].map(latents);
      await expectSame(`transition ${density}`, fn, {latent, x0, noise, moved, ...coefficients}, 1e-5);
    });
  }

  it('weigh rows by the clipped surrogate and the divergence, with gradients', async () => {
    const fn: NumericFunction = (inputs) => {
      const {logProb, oldLogProb, advantage, clipRange, mean, reference, std} = read(inputs);
      const logs = {logProb, oldLogProb};
      const loss = (l: tf.Tensor, m: tf.Tensor): tf.Scalar =>
        tf.add(
          tf.mean(clippedSurrogate({logProb: l, oldLogProb}, advantage, clipRange)),
          tf.mean(klDivergence(m, reference, std)),
        );
      const [perRow, perMean] = tf.grads(loss)([logProb, mean]);
      return {
        loss: loss(logProb, mean),
        perRow,
        perMean,
        kl: approxKl(logs),
        clipped: clipFraction(logs, clipRange),
        k3: klEstimate('k3', logs),
      };
    };
    const logProb = float32([5e-5, 3e-4, 0]);
    const scalars = {oldLogProb: float32([0, 0, 0]), advantage: float32([2, -2, 1]), clipRange: float32([1e-4], [])};
    const inputs = {logProb, ...scalars, mean: latents('mean'), reference: latents('reference'), std: coefficients.std};
    await expectSame('surrogate', fn, inputs, 1e-7);
  });

  it('update parameters by AdamW and by Muon', async () => {
    const fn: NumericFunction = (inputs) => {
      const {vector, g, first, second, learningRate, correction1, correction2, wide, qkv, momentum, maxNorm} = read(inputs);
      const {gradients, norm} = clipByGlobalNorm([g, wide], maxNorm);
      const hyper = {beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weightDecay: 0.01};
      const adam = adamw(vector, gradients[0], {first, second}, {learningRate, correction1, correction2}, hyper);
      const looked = nesterov(gradients[1], momentum, 0.95);
      const [wideUpdate, qkvUpdate] = orthogonalise([looked.direction, qkv], [false, true]);
      return {norm, params: adam.params, first: adam.state.first, second: adam.state.second, wideUpdate, qkvUpdate};
    };
    const second = draw('second', 7);
    const state = {
      vector: draw('vector', 7),
      g: draw('g', 7),
      first: draw('first', 7),
      second: float32(second.data.map(Math.abs), [7]),
    };
    const scalars = {learningRate: float32([0.01], []), correction1: float32([0.1], []), correction2: float32([0.02], [])};
    const matrices = {
      wide: draw('wide', 4, 6),
      qkv: draw('qkv', 3, 9),
      momentum: draw('momentum', 4, 6),
      maxNorm: float32([1], []),
    };
    await expectSame('optimizers', fn, {...state, ...scalars, ...matrices}, 1e-4);
  });
});
