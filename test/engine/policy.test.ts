/** A whole network and a whole update: compiled against eager, every parameter. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {fluentClips} from '../../environments/fluentClips/fluentClips.js';
import type {CompileReport, Device} from '../../src/engine/device.js';
import {openDevice} from '../../src/engine/devices.js';
import type {NumericFunction} from '../../src/engine/trace.js';
import {adamCorrections} from '../../src/numeric/optim/adamw.js';
import {adamOptions, initialState, networkLayout} from '../../src/pretrain/optimise.js';
import {policyStep} from '../../src/pretrain/policyStep.js';
import {float32, ndarray, sizeOf, type NdArray} from '../../src/tensor/ndarray.js';
import {normals, uniforms} from '../../src/tensor/random.js';
import {leaves, mapTree, unflatten, type Branch, type Params} from '../../src/tensor/tree.js';
import {runEagerly} from '../support/eager.js';
import {distance, expectNear} from '../support/near.js';

const BATCH = 2;
const world = fluentClips('nano');
const normal = (purpose: string, shape: readonly number[]): NdArray<'float32'> =>
  ndarray('float32', shape, normals({seed: 5, purpose}, new Float32Array(sizeOf(shape))));

/** Parameters off their initial zeros, so that every part of the network has a gradient. */
const params = mapTree(world.initialise(1), (leaf: NdArray, path) => {
  const noise = normal(path, leaf.shape).data;
  return ndarray(
    'float32',
    leaf.shape,
    Float32Array.from(leaf.data, (x, i) => x + 0.05 * noise[i]),
  );
});

const video = [BATCH, ...world.videoShape];
const tokens = world.policy.tokenize(world.prompts('train', BATCH).map((p) => p.text));

describe('engine: a whole policy', () => {
  const reports: CompileReport[] = [];
  let device: Device;
  before(async () => {
    device = await openDevice('cpu', {threads: 1, onCompile: (report) => reports.push(report)});
  });
  after(() => device.close());

  it('has the gradient that tfjs has, for every parameter, to 1e-5', async function () {
    this.timeout(60_000);
    const paths = leaves<NdArray>(params).map(([path]) => path);
    const gradient: NumericFunction = (inputs) => {
      const flat = leaves(inputs['params'] as Branch<tf.Tensor>).map(([, t]) => t);
      const loss = (...weights: tf.Tensor[]): tf.Tensor => {
        const tree = unflatten(paths.map((path, i) => [path, weights[i]] as const));
        const text = tf.add(world.policy.encode(tree, inputs['tokens'] as tf.Tensor), world.policy.encodeNull(tree, BATCH));
        const shown = world.policy.denoise(tree, inputs['latent'] as tf.Tensor, inputs['time'] as tf.Tensor, text);
        return tf.sum(tf.mul(shown, inputs['weights'] as tf.Tensor));
      };
      const {value, grads} = tf.valueAndGrads(loss)(flat);
      return {value, gradients: unflatten(paths.map((path, i) => [path, grads[i]] as const))};
    };
    const inputs = {
      params,
      tokens,
      latent: normal('latent', video),
      time: float32([0.9, 0.3]),
      weights: normal('weights', video),
    };
    const eager = runEagerly(gradient, inputs);
    const {outputs} = await device.jit('policy/gradient', gradient)(inputs);
    const value = (p: Params): number => (p['value'] as NdArray).data[0];
    expect(value(outputs)).to.be.closeTo(value(eager), 1e-5 * Math.sqrt(sizeOf(video)));
    const mine = new Map(leaves<NdArray>(outputs['gradients']));
    for (const [path, wanted] of leaves<NdArray>(eager['gradients'])) {
      expect(distance(mine.get(path)!.data, wanted.data), path).to.be.below(1e-5);
    }
  });

  it('takes the pre-training step that tfjs takes, in one graph', async function () {
    this.timeout(60_000);
    reports.splice(0);
    const layout = networkLayout(params);
    const step = policyStep(world.policy, layout);
    const batch = {
      video: ndarray(
        'uint8',
        video,
        Uint8Array.from(uniforms({seed: 5, purpose: 'video'}, new Float32Array(sizeOf(video))), (u) => 256 * u),
      ),
      noise: normal('noise', video),
      time: float32([0.7, 0.4]),
      tokens,
      drop: float32([0, 1]),
    };
    const scalar = (x: number): NdArray => float32([x], []);
    const corrections = adamCorrections(1, adamOptions);
    const schedule = {
      muonRate: scalar(0.02),
      adamRate: scalar(3e-3),
      averageDecay: scalar(0.9),
      correction1: scalar(corrections.correction1),
      correction2: scalar(corrections.correction2),
    };
    const state = initialState(params, layout);
    const eager = runEagerly(step, {state, batch, schedule});
    const resident = await device.put(state);
    const jitted = device.jit('policy/step', step);
    const {outputs, applied} = await jitted(
      {state: resident, batch, schedule},
      {into: {state: resident}, guard: ['metrics.loss', 'metrics.gradientNorm']},
    );
    expect(applied).to.equal(true);
    for (const [path, wanted] of leaves<NdArray>(eager['metrics'])) {
      const got = (outputs['metrics'] as Record<string, NdArray>)[path];
      expectNear(got.data, wanted.data, {rtol: 1e-5, atol: 0}, path);
    }
    const mine = new Map(leaves<NdArray>(await device.get(resident)));
    // Adam's first step is the sign of the gradient, so a gradient near zero may turn; the moments themselves are compared closer.
    const bounds: Record<string, number> = {'params.matrices': 1e-5, 'params.rest': 1e-4, 'average.rest': 1e-4, second: 2e-5};
    for (const [path, wanted] of leaves<NdArray>(eager['state'])) {
      expect(distance(mine.get(path)!.data, wanted.data), path).to.be.below(bounds[path] ?? 1e-5);
    }
    expect(reports).to.have.length(1);
  });
});
