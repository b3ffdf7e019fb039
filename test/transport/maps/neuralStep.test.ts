import * as tf from '@tensorflow/tfjs-core';
import type {Device} from '../../../src/engine/device.js';
import {openOrtDevice} from '../../../src/engine/ortDevice.js';
import type {NumericFunction} from '../../../src/engine/trace.js';
import {adamCorrections} from '../../../src/numeric/optim/adamw.js';
import {learningRate} from '../../../src/numeric/optim/learningRate.js';
import {float32, int32, type NdArray} from '../../../src/tensor/ndarray.js';
import {pack, packing, unpackArray} from '../../../src/tensor/pack.js';
import {leaves, mapTree, type Params} from '../../../src/tensor/tree.js';
import {ADAM, adamState} from '../../../src/transport/maps/adam.js';
import {mappedSimilarity} from '../../../src/transport/maps/mappedSimilarity.js';
import {neuralStep} from '../../../src/transport/maps/neuralStep.js';
import {perceptron} from '../../../src/transport/maps/perceptron.js';
import {runEagerly, toTensor} from '../../support/eager.js';
import {cases, expectOutput, numbers, tensor, type Case} from '../../support/golden.js';
import {peerParams, peerPaths, transposed} from '../../support/neuralPeers.js';

interface TrainParams {
  batch: number;
  T_iters: number;
  outer_steps: number;
  lr: number;
  eta_min: number;
  cosine_T_max: number;
  weight_decay: number;
  grad_clip: number;
  mse_weight: number;
}

/** Runs all outer steps of a case and compares every number with the peer's. */
async function expectTraining(
  c: Case<TrainParams>,
  run: (fn: NumericFunction, inputs: Params) => Promise<Params>,
): Promise<void> {
  const p = c.params;
  const [map, potential] = [peerParams(c, 'T'), peerParams(c, 'f')];
  const layout = {map: packing(map), potential: packing(potential)};
  const step = neuralStep(layout, {
    costWeight: p.mse_weight,
    weightDecay: p.weight_decay,
    maxGradientNorm: p.grad_clip,
  });
  const set = (name: string): NdArray<'float32'> =>
    float32(numbers(c.inputs[name]), [c.inputs[name].shape[0] * p.batch, c.inputs[name].shape[2]]);
  // Batches are taken in order: K for T, then one for f.
  const batch = (from: number, count: number): number[] => Array.from({length: count * p.batch}, (_, i) => from * p.batch + i);
  let state: Params = {map: adamState(pack(map, layout.map)), potential: adamState(pack(potential, layout.potential))};
  const seen: Record<string, number[]> = {};
  const note = (name: string, values: ArrayLike<number>): void => void (seen[name] ??= []).push(...Array.from(values));
  for (let n = 0; n < p.outer_steps; n++) {
    const first = n * (p.T_iters + 1);
    const rate = learningRate({kind: 'cosine', rate: p.lr, steps: p.cosine_T_max, final: p.eta_min}, n);
    const corrections = Array.from({length: p.T_iters}, (_, k) => adamCorrections(n * p.T_iters + k + 1, ADAM));
    const ofPotential = adamCorrections(n + 1, ADAM);
    const outputs = await run(step, {
      state,
      sets: {text: set('text'), video: set('video')},
      batches: {
        map: int32(batch(first, p.T_iters), [p.T_iters, p.batch]),
        text: int32(batch(first + p.T_iters, 1)),
        video: int32(batch(first + p.T_iters, 1)),
      },
      schedule: {
        learningRate: float32([rate], []),
        mapCorrection1: float32(corrections.map((x) => x.correction1)),
        mapCorrection2: float32(corrections.map((x) => x.correction2)),
        correction1: float32([ofPotential.correction1], []),
        correction2: float32([ofPotential.correction2], []),
      },
    });
    state = outputs['state'] as Params;
    const m = outputs['metrics'] as Record<string, NdArray>;
    note('lr', [rate]);
    note('T_loss', m['mapLoss'].data);
    note('mse', m['cost'].data);
    note('critic_on_Tx', m['potentialOfMapped'].data);
    note('T_grad_norm', m['mapGradientNorm'].data);
    note('f_loss', m['potentialLoss'].data);
    note('f_grad_norm', m['potentialGradientNorm'].data);
  }
  for (const [name, values] of Object.entries(seen)) expectOutput(c, name, values);
  for (const [network, key] of [
    ['T', 'map'],
    ['f', 'potential'],
  ] as const) {
    const vector = (state[key] as Params)['params'] as NdArray<'float32'>;
    const found = new Map(leaves<NdArray>(unpackArray(vector, layout[key])));
    for (const {theirs, ours, transposed: turn} of peerPaths(network)) {
      const leaf = found.get(ours)!;
      expectOutput(c, theirs, (turn ? transposed(leaf) : leaf).data);
    }
  }
}

describe('neural transport', () => {
  let device: Device;
  before(async () => {
    device = await openOrtDevice('cpu', {provider: 'cpu', threads: 1}, {});
  });
  after(() => device.close());

  for (const c of cases<TrainParams>('not.json', 'train')) {
    it(`trains as the released code does on ${c.name}`, () => expectTraining(c, async (fn, inputs) => runEagerly(fn, inputs)));
  }

  for (const c of cases<TrainParams>('not.json', 'train').slice(0, 3)) {
    it(`trains so as a compiled graph, on ${c.name}`, async () => {
      let jitted: ReturnType<Device['jit']> | undefined;
      await expectTraining(c, async (fn, inputs) => (await (jitted ??= device.jit('neuralStep', fn))(inputs)).outputs);
    });
  }

  for (const c of cases('not.json', 'forward')) {
    it(`has the released networks’ values and gradient on ${c.name}`, () => {
      const [T, f] = (['T', 'f'] as const).map((network) => {
        const params = mapTree(peerParams(c, network), toTensor);
        return (x: tf.Tensor): tf.Tensor => perceptron(params, x);
      });
      const x = tensor(c.inputs['x']);
      expectOutput(c, 'T_x', T(x));
      expectOutput(c, 'f_T_x', tf.reshape(f(T(x)), [-1]));
      expectOutput(c, 'grad_sum_f_T_x_wrt_x', tf.grad((y: tf.Tensor) => tf.sum(f(T(y))))(x));
    });
  }

  for (const c of cases('not.json', 'quality-reward')) {
    it(`gives the quality reward and its gradient on ${c.name}`, () => {
      const params = mapTree(peerParams(c, 'T'), toTensor);
      const text = tensor(c.inputs['text']);
      // The peer returns the mean over the batch.
      const {value, grad} = tf.valueAndGrad((video: tf.Tensor) =>
        tf.mean(mappedSimilarity((y) => perceptron(params, y), text, video)),
      )(tensor(c.inputs['video']));
      expectOutput(c, 'reward', value);
      expectOutput(c, 'grad_reward_wrt_video', grad);
    });
  }
});
