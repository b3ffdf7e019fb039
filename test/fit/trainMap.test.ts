import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import type {Device} from '../../src/engine/device.js';
import {openOrtDevice} from '../../src/engine/ortDevice.js';
import {NonFiniteError, ShapeError} from '../../src/errors.js';
import {openMapTrainer, type EmbeddedPairs, type MapPlan, type MapStart, type TrainedMap} from '../../src/fit/trainMap.js';
import {float32, take, type NdArray} from '../../src/tensor/ndarray.js';
import {pack, packing, unpack} from '../../src/tensor/pack.js';
import {permutation} from '../../src/tensor/random.js';
import {leaves, type Params} from '../../src/tensor/tree.js';
import {squaredError} from '../../src/transport/maps/pairedLoss.js';
import {perceptron} from '../../src/transport/maps/perceptron.js';
import {frechetDistance} from '../../src/transport/metrics/frechetDistance.js';
import {structurePreservation} from '../../src/transport/metrics/structurePreservation.js';
import {affineCloud, normalCloud, turn} from '../support/clouds.js';
import {runEagerly} from '../support/eager.js';
import {rejection} from '../support/files.js';
import {expectNear} from '../support/near.js';

const plan: MapPlan = {
  steps: 150,
  batch: 64,
  mapUpdates: 10,
  hidden: 32,
  learningRate: 2e-3,
  costWeight: 1,
  weightDecay: 0,
  maxGradientNorm: 1,
};
const stay = [
  [1, 0],
  [0, 1],
];
const text = normalCloud(500, 2, 1);

describe('openMapTrainer', () => {
  let device: Device;
  before(async () => {
    device = await openOrtDevice('cpu', {provider: 'cpu', threads: 1}, {});
  });
  after(() => device.close());

  async function train(
    kind: TrainedMap,
    pairs: EmbeddedPairs,
    steps: number,
    settings: Partial<MapPlan> = {},
    start: MapStart = {seed: 3},
  ): Promise<{params: Params; state: Params; metrics: Readonly<Record<string, number>>}> {
    const trainer = await openMapTrainer(device, kind, {...plan, ...settings}, pairs, start);
    try {
      let metrics: Readonly<Record<string, number>> = {};
      for (let i = 0; i < steps; i++) ({metrics} = await trainer.update());
      return {params: await trainer.params(), state: await trainer.state(), metrics};
    } finally {
      await trainer.close();
    }
  }
  const mapped = (params: Params, points: NdArray): NdArray<'float32'> =>
    runEagerly((inputs) => ({out: perceptron(inputs['params'] as never, inputs['points'] as never)}), {params, points})[
      'out'
    ] as NdArray<'float32'>;

  it('finds a translation from two clouds without pairs', async () => {
    // The videos are other points than the texts, in an order of their own.
    const video = affineCloud(normalCloud(500, 2, 2), stay, [1.5, -1]);
    const {params} = await train('neural', {text, video}, 150);
    const moved = mapped(params, text);
    expect(frechetDistance(text, video)).to.be.above(2.5);
    expect(frechetDistance(moved, video)).to.be.below(0.1);
    expect(structurePreservation(text, moved)).to.be.above(0.9);
    // The middle of the cloud, where there are many points, moves by the shift.
    const middle = mapped(params, {dtype: 'float32', shape: [1, 2], data: new Float32Array(2)});
    expectNear(middle.data, [1.5, -1], {atol: 0.25, rtol: 0}, 'T(0)');
  });

  it('finds with pairs what transport cannot know: a rotation', async () => {
    const video = affineCloud(text, turn(2, 1.2), [0, 0]);
    const error = (params: Params): number => {
      const found = mapped(params, text);
      return found.data.reduce((sum, v, at) => sum + (v - video.data[at]) ** 2, 0) / found.data.length;
    };
    expect(error((await train('l2', {text, video}, 60)).params)).to.be.below(0.05);
    // Clouds that look alike under any turn: the cheapest map stays.
    const neural = (await train('neural', {text, video: take(video, permutation({seed: 1, purpose: 'order'}, 500))}, 60)).params;
    expect(error(neural)).to.be.above(0.5);
  });

  for (const kind of ['neural', 'moments'] as const) {
    it(`goes on from a state bit for bit (${kind})`, async () => {
      const pairs = {text, video: affineCloud(text, stay, [1, 0])};
      const whole = await train(kind, pairs, 6);
      const half = await train(kind, pairs, 3);
      const rest = await train(kind, pairs, 3, {}, {seed: 3, updates: 3, state: half.state});
      const bytes = (params: Params): number[] => leaves<NdArray>(params).flatMap(([, {data}]) => Array.from(data));
      expect(bytes(rest.state)).to.deep.equal(bytes(whole.state));
      expect(bytes(rest.params)).to.deep.equal(bytes(whole.params));
      expect(bytes(half.params)).not.to.deep.equal(bytes(whole.params));
    });
  }

  it('draws other batches at every step, by the seed', async () => {
    // At a rate of next to nothing, losses differ by their batches alone.
    const trainer = await openMapTrainer(device, 'l2', {...plan, learningRate: 1e-12}, {text, video: text}, {seed: 3});
    const [first, second] = [await trainer.update(), await trainer.update()].map(({metrics}) => metrics['mapLoss']);
    await trainer.close();
    expect(first).not.to.equal(second);
    expect((await train('l2', {text, video: text}, 1, {learningRate: 1e-12})).metrics['mapLoss']).to.equal(first);
    const other = await train('l2', {text, video: text}, 1, {learningRate: 1e-12}, {seed: 4});
    expect(other.metrics['mapLoss']).not.to.equal(first);
  });

  it('takes Adam’s steps, at a rate that falls by a cosine to a twentieth', async () => {
    // One pair alone, so that every batch is known.
    const pair = {text: float32([0.3, -1], [1, 2]), video: float32([1, 0.5], [1, 2])};
    const settings = {steps: 4, batch: 2, mapUpdates: 3, maxGradientNorm: 1e9};
    const start = await openMapTrainer(device, 'l2', {...plan, ...settings}, pair, {seed: 3});
    const fresh = await start.params();
    await start.close();
    const layout = packing(fresh);
    let p = pack(fresh, layout).data;
    let [m, v] = [p.map(() => 0), p.map(() => 0)];
    const gradient = (at: Float32Array): Float32Array => {
      const {g} = runEagerly(
        (inputs) => ({
          g: tf.grad((vector: tf.Tensor) =>
            squaredError(perceptron(unpack(vector, layout), inputs['text'] as tf.Tensor), inputs['video'] as tf.Tensor),
          )(inputs['vector'] as tf.Tensor),
        }),
        {...pair, vector: float32(at)},
      ) as Record<string, NdArray<'float32'>>;
      return g.data;
    };
    for (let n = 1; n <= 9; n++) {
      const rate = plan.learningRate * (0.05 + (0.95 * (1 + Math.cos((Math.PI * Math.floor((n - 1) / 3)) / 4))) / 2);
      const g = gradient(p);
      m = m.map((x, i) => 0.9 * x + 0.1 * g[i]);
      v = v.map((x, i) => 0.999 * x + 0.001 * g[i] ** 2);
      p = p.map((x, i) => x - (rate * (m[i] / (1 - 0.9 ** n))) / (Math.sqrt(v[i] / (1 - 0.999 ** n)) + 1e-8));
    }
    const {params} = await train('l2', pair, 3, settings);
    // Where a gradient is next to nothing, its rounding decides the step.
    expectNear(pack(params, layout).data, p, {atol: 2e-4, rtol: 0}, 'parameters');
  });

  it('tells what an outer step was like', async () => {
    const {metrics} = await train('neural', {text, video: text}, 1);
    expect(Object.keys(metrics).sort()).to.deep.equal([
      'cost',
      'mapGradientNorm',
      'mapLoss',
      'potentialGradientNorm',
      'potentialLoss',
      'potentialOfMapped',
    ]);
    expect(metrics['mapLoss']).to.be.closeTo(metrics['cost'] - metrics['potentialOfMapped'], 1e-5);
    const {metrics: paired} = await train('l2', {text, video: text}, 1);
    expect(Object.keys(paired).sort()).to.deep.equal(['mapGradientNorm', 'mapLoss']);
  });

  it('applies nothing that is not finite, and says what to try', async () => {
    const trainer = await openMapTrainer(device, 'l2', {...plan, learningRate: 1e38}, {text, video: text}, {seed: 0});
    const before = leaves<NdArray>(await trainer.params())[0][1].data[0];
    const error = await rejection(trainer.update());
    expect(error).to.be.instanceOf(NonFiniteError);
    expect(error.message).to.match(/^fit: step 0 has loss .*; it was not applied\. Try a lower learningRate\.$/);
    expect(leaves<NdArray>(await trainer.params())[0][1].data[0]).to.equal(before);
    await trainer.close();
  });

  it('refuses texts and videos that are not pairs', async () => {
    const error = await rejection(openMapTrainer(device, 'neural', plan, {text, video: normalCloud(400, 2, 1)}, {seed: 0}));
    expect(error).to.be.instanceOf(ShapeError);
    expect(error.message).to.match(/texts \[500, 2\], videos \[400, 2\]/);
  });
});
