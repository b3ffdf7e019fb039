/** Recomputation against the same function without it: values, gradients, and that neither our passes nor the runtime undo it. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {recompute, type Recomputable} from '../../src/autograd/recompute.js';
import {openOrtDevice} from '../../src/engine/ortDevice.js';
import type {InputSpec, NumericFunction} from '../../src/engine/trace.js';
import {packedPolicy, packPolicyFor, policyTensors} from '../../src/rollout/residentPolicy.js';
import {ndarray, sizeOf, type NdArray} from '../../src/tensor/ndarray.js';
import {normals, uniforms} from '../../src/tensor/random.js';
import {mapTree, type Branch, type Params} from '../../src/tensor/tree.js';
import {runEagerly} from '../support/eager.js';
import {nano, noisyWeights} from '../support/nano.js';
import {runtimeGraph, type RuntimeGraph} from '../support/runtimeGraph.js';

const params = noisyWeights(nano);
const layout = packPolicyFor(nano, params);
const normal = (purpose: string, ...shape: number[]): NdArray<'float32'> =>
  ndarray('float32', shape, normals({seed: 1, purpose}, new Float32Array(sizeOf(shape))));
const inputsOf = (clips: number): Params => ({
  ...packedPolicy(params, layout),
  latent: normal('latent', clips, ...nano.latentShape),
  time: ndarray('float32', [clips], uniforms({seed: 1, purpose: 'time'}, new Float32Array(clips))),
  text: normal('text', clips, nano.policy.textLength, 64),
});
const inputs = inputsOf(2);
const specs = mapTree(inputsOf(8), ({dtype, shape}: NdArray): InputSpec => ({dtype, shape}));

/** A walk of the policy and the gradients of a number that its end gives. */
const walk =
  (steps: number, wrap: (step: Recomputable) => Recomputable): NumericFunction =>
  (given) => {
    const {trained, frozen, latent, time, text} = given as Record<string, tf.Tensor>;
    const step = wrap((x, p) =>
      tf.add(tf.mul(x, 0.5), nano.policy.denoise(policyTensors({trained: p, frozen}, layout), x, time, text)),
    );
    const end = (p: tf.Tensor, start: tf.Tensor): tf.Scalar => {
      let x = start;
      for (let i = 0; i < steps; i++) x = step(x, p);
      return tf.mean(tf.square(x));
    };
    const {value, grads} = tf.valueAndGrads(end)([trained, latent]);
    return {value, trained: grads[0], latent: grads[1]};
  };
const kept = (step: Recomputable): Recomputable => step;

function expectEqual(found: Branch<NdArray>, wanted: Branch<NdArray>, within: number): void {
  for (const name of ['value', 'trained', 'latent']) {
    const [a, b] = [found[name] as NdArray<'float32'>, wanted[name] as NdArray<'float32'>];
    const size = b.data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    expect(size, name).to.be.above(1e-5);
    const gap = a.data.reduce((most, x, i) => Math.max(most, Math.abs(x - b.data[i])), 0);
    expect(gap / size, name).to.be.at.most(within);
  }
}

describe('recompute', function () {
  this.timeout(120_000);

  it('has the values and gradients of the function itself: eagerly bit for bit', () => {
    expectEqual(runEagerly(walk(2, recompute), inputs), runEagerly(walk(2, kept), inputs), 0);
  });

  it('compiled: to rounding, since the forward pass may fuse what no gradient is asked of', async () => {
    const device = await openOrtDevice('cpu', {provider: 'cpu', threads: 1}, {});
    const run = async (wrap: typeof recompute): Promise<Params> => (await device.jit('test/walk', walk(3, wrap))(inputs)).outputs;
    expectEqual(await run(recompute), await run(kept), 1e-5);
    await device.close();
  });

  it('inside a recomputed function, and beside a gradient that is wanted of something else', () => {
    const f =
      (wrap: typeof recompute): NumericFunction =>
      ({x, w}) => {
        const inner = wrap((y, v) => tf.tanh(tf.mul(y, v)));
        const outer = wrap((y, v) => tf.sin(inner(inner(y, v), v)));
        const loss = (y: tf.Tensor, v: tf.Tensor): tf.Scalar => tf.sum(tf.mul(outer(y, v), tf.exp(y)));
        const [dx, dw] = tf.grads(loss)([x as tf.Tensor, w as tf.Tensor]);
        return {value: loss(x as tf.Tensor, w as tf.Tensor), latent: dx, trained: dw};
      };
    const given = {x: normal('x', 5), w: normal('w', 5)};
    expectEqual(runEagerly(f(recompute), given), runEagerly(f(kept), given), 0);
  });

  describe('in the graph that the runtime runs', () => {
    const of: Record<string, RuntimeGraph> = {};
    before(async () => {
      for (const steps of [1, 4, 8]) {
        of[`kept ${steps}`] = await runtimeGraph(walk(steps, kept), specs);
        of[`again ${steps}`] = await runtimeGraph(walk(steps, recompute), specs);
      }
    });
    const count = (name: string, op: string): number => of[name].nodes.filter(({opType}) => opType === op).length;

    it('computes every step a second time', () => {
      expect(count('kept 4', 'Softmax')).to.be.above(0);
      for (const steps of [1, 4, 8]) expect(count(`again ${steps}`, 'Softmax')).to.equal(2 * count(`kept ${steps}`, 'Softmax'));
    });

    it('holds the activations of one step, whatever the number of steps', () => {
      const grows = (name: string): number => (of[`${name} 8`].livePeak - of[`${name} 4`].livePeak) / 4;
      const step = grows('kept');
      // What is left grows by the gradient of the parameters and a latent.
      const gradient = sizeOf((specs['trained'] as InputSpec).shape) + sizeOf((specs['latent'] as InputSpec).shape);
      expect(step).to.be.above(2 * gradient);
      expect(grows('again')).to.be.at.most(1.1 * gradient);
      expect(of['again 1'].livePeak).to.be.at.most(1.05 * of['kept 1'].livePeak);
    });
  });
});
