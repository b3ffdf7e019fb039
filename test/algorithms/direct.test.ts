/** Direct backpropagation against slow references: whole sampler in one graph, with gradients cut where each variant cuts them. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {lastValueFrom, of} from 'rxjs';
import {direct} from '../../algorithms/direct.js';
import {matching} from '../../rewards/matching.js';
import {similarity} from '../../rewards/similarity.js';
import type {Learner, PolicyInGraph, Scored, TransitionBatch} from '../../src/algorithm.js';
import {recompute} from '../../src/autograd/recompute.js';
import type {CompileReport, Device} from '../../src/engine/device.js';
import {openOrtDevice} from '../../src/engine/ortDevice.js';
import {pseudoHuber} from '../../src/numeric/consistency.js';
import {detach} from '../../src/numeric/detach.js';
import {odeTable, samplerTables} from '../../src/numeric/samplers/named.js';
import type {DifferentiableReward} from '../../src/reward.js';
import {composeReward} from '../../src/rewards/composeReward.js';
import {createGenerator} from '../../src/rollout/generate.js';
import {packPolicyFor, packedPolicy, policyTensors} from '../../src/rollout/residentPolicy.js';
import {float32, type NdArray} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';
import {leaves, mapTree, type Branch, type Params} from '../../src/tensor/tree.js';
import {tuneConfig} from '../../src/tune/schema.js';
import type {InputSpec} from '../../src/engine/trace.js';
import {runtimeGraph} from '../support/runtimeGraph.js';
import {bareContext} from '../support/bareContext.js';
import {runEagerly, toTensor} from '../support/eager.js';
import {cases, expectClose, expectOutput, tensor, values} from '../support/golden.js';
import {nano, noisyWeights, openLearner} from '../support/nano.js';
import {openTestDevice} from '../support/toy.js';

/** Sees where in the video, and of which caption: so that a wrong row or a wrong pixel shows. */
const spotted: DifferentiableReward = {
  params: {weights: float32(Array.from({length: 16}, (_, i) => Math.sin(1 + i)))},
  encode: (prompts) => ({length: float32(prompts.map(({text}) => text.length / 40))}),
  score: (params, video, {length}) => {
    const rows = tf.mean(video, [1, 3, 4]);
    const seen = tf.sum(tf.mul(rows, tf.reshape(params['weights'] as tf.Tensor, [1, 16])), 1);
    return tf.mul(tf.tanh(seen), length as tf.Tensor);
  },
};
const SAMPLES = 2;
const params = noisyWeights(nano);
const layout = packPolicyFor(nano, params);

type Given = Record<string, unknown>;
const configure = (given: Given): ReturnType<typeof direct.configure> => direct.configure(direct.options.parse(given));

/** The microbatches of one iteration, as a learner would get them. */
async function batchesOf(scored: Scored, given: Given, reward = spotted): Promise<TransitionBatch[]> {
  const found: TransitionBatch[] = [];
  const learner: Learner = {
    microbatch: 16,
    evaluate: () => expect.fail('nothing is evaluated'),
    moveOld: () => expect.fail('direct keeps no old policy'),
    async update(batches, count) {
      const all = [...batches];
      expect(all.reduce((sum, batch) => sum + (batch['text'] as NdArray).shape[0], 0)).to.equal(count);
      found.push(...all);
      return {metrics: {}, gradientNorm: 0};
    },
  };
  const state = {iteration: 0, memory: null, metrics: {}};
  await lastValueFrom(configure(given).learn(of(scored), state, {learner, seed: 5, reward}));
  return found;
}

const vectors = packedPolicy(params, layout);
/** A starting policy and an average that are not the trained one. */
const moved = (by: number): NdArray<'float32'> => ({
  ...vectors.trained,
  data: vectors.trained.data.map((x, i) => x + by * Math.cos(i)),
});
const [referenceVector, averageVector] = [moved(0.002), moved(0.004)];

const predictor =
  (trained: tf.Tensor) =>
  (batch: Branch<tf.Tensor>): tf.Tensor => {
    const {latent, time, text} = batch as Record<string, tf.Tensor>;
    return nano.policy.denoise(policyTensors({trained, frozen: toTensor(vectors.frozen)}, layout), latent, time, text);
  };
const rewardParams = (): Branch<tf.Tensor> => mapTree(spotted.params, toTensor);
const scoreOf = (latents: tf.Tensor, prompts: Branch<tf.Tensor>): tf.Tensor =>
  spotted.score(rewardParams(), nano.decodeInGraph!(latents), prompts);

const policyOf = (trained: tf.Tensor): PolicyInGraph => ({
  density: 'gaussian',
  predict: predictor(trained),
  predictRecomputed: (batch) =>
    recompute((latent, held) => predictor(held)({...batch, latent}))(batch['latent'] as tf.Tensor, trained),
  predictHeld: predictor(toTensor(vectors.trained)),
  predictReference: predictor(toTensor(referenceVector)),
  predictAverage: predictor(toTensor(averageVector)),
  predictOld: () => expect.fail('direct keeps no old policy'),
  reward: scoreOf,
});

/** A loss and its gradient. */
interface Slope {
  readonly loss: number;
  readonly gradient: Float32Array;
}
type Loss = (trained: tf.Tensor) => tf.Scalar;
const slopeOf =
  (of: Loss) =>
  (inputs: Branch<tf.Tensor>): Branch<tf.Tensor> => {
    const {value, grad} = tf.valueAndGrad(of)(inputs['trained'] as tf.Tensor);
    return {loss: value, gradient: grad};
  };
const asSlope = ({loss, gradient}: Params): Slope => ({
  loss: (loss as NdArray).data[0],
  gradient: (gradient as NdArray<'float32'>).data,
});

const lossOn = (batch: TransitionBatch, given: Given): Loss => {
  const {loss, scalars} = configure(given);
  return (trained) =>
    loss(
      policyOf(trained),
      // Recomputation reads them again when the scope of the loss is over.
      mapTree(batch, (a: NdArray) => tf.keep(toTensor(a))),
      mapTree(scalars, (x: number) => tf.scalar(x)),
    ).loss;
};

/** Asserts equal losses, and gradients that are equal to rounding at the size of the gradient. */
function expectSame(found: Slope, wanted: Slope): void {
  const size = wanted.gradient.reduce((most, g) => Math.max(most, Math.abs(g)), 0);
  expect(size).to.be.above(1e-6);
  expect(found.loss).to.be.closeTo(wanted.loss, 1e-5);
  expectClose(found.gradient, wanted.gradient, 1e-3 * size, 0, 'gradient');
}

describe('direct', function () {
  this.timeout(300_000);
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  const slope = async (of: Loss): Promise<Slope> =>
    asSlope((await device.jit('test/slope', slopeOf(of))({trained: vectors.trained})).outputs);

  const rollout = async (steps: number): Promise<Scored> => {
    const learner = await openLearner(nano, device, params);
    const generate = createGenerator(nano, device, layout, 'gaussian', 1);
    const {deterministic} = samplerTables('flowSde', steps, 0.7);
    const request = {samples: SAMPLES, table: deterministic, seed: 5, iteration: 0, purpose: 'test', sharedStart: false};
    const trajectories = await generate(learner.policy, {...request, prompts: nano.prompts('train', 2)});
    await learner.close();
    return {trajectories, rewards: new Float32Array(2 * SAMPLES)};
  };
  let scored: Scored;
  const STEPS = 5;
  before(async () => {
    scored = await rollout(STEPS);
  });

  /** The rows of a batch among the trajectories: prompts come in another order. */
  const inOrder = (batch: TransitionBatch): number[] => {
    const {text, textRow} = scored.trajectories;
    const size = text.data.length / text.shape[0];
    const wanted = batch['text'] as NdArray;
    const isRow = (i: number, p: number): boolean =>
      text.data.subarray(p * size, (p + 1) * size).every((x, j) => x === wanted.data[i * size + j]);
    const first = isRow(0, 0) ? 0 : 1;
    return [first, 1 - first].flatMap((p) => textRow.flatMap((row, i) => (row === p ? [i] : [])));
  };
  const gathered = (a: NdArray<'float32'>, rows: readonly number[]): tf.Tensor => tf.gather(toTensor(a), rows);

  /** The sampler's walk from its first latent, as the peers write it: v = (x − x̂0)/t, x' = x + (t' − t)·v. */
  const walk = (
    batch: TransitionBatch,
    trained: tf.Tensor,
    until: number,
    velocityOf: (step: number, x: tf.Tensor, velocity: (x: tf.Tensor) => tf.Tensor) => tf.Tensor,
  ): tf.Tensor => {
    const predict = predictor(trained);
    const text = toTensor(batch['text'] as NdArray);
    let x = gathered(scored.trajectories.latents[0], inOrder(batch));
    for (const [k, {time, nextTime}] of scored.trajectories.table.slice(0, until).entries()) {
      const times = tf.fill([x.shape[0]], time);
      const velocity = (y: tf.Tensor): tf.Tensor => tf.div(tf.sub(y, predict({latent: y, time: times, text})), time);
      x = tf.add(x, tf.mul(velocityOf(k, x, velocity), nextTime - time));
    }
    return x;
  };
  const climb = (batch: TransitionBatch, x: tf.Tensor): tf.Scalar =>
    tf.neg(tf.sum(scoreOf(x, mapTree(batch['prompts'] as TransitionBatch, toTensor))));
  const plain = {distillationWeight: 0, rewardNormalisation: 'none'};

  it('draftK: the gradient of the whole sampler, cut before the last K steps', async () => {
    const given = {...plain, variant: 'draftK', gradientSteps: 2};
    const [batch] = await batchesOf(scored, given);
    // Up to the cut the walk is a constant.
    const slow = await slope((trained) => {
      const start = detach(walk(batch, trained, STEPS - 2, (_, x, velocity) => velocity(x)));
      const predict = predictor(trained);
      const text = toTensor(batch['text'] as NdArray);
      const x = scored.trajectories.table.slice(-2).reduce((y, {time, nextTime}) => {
        const x0 = predict({latent: y, time: tf.fill([y.shape[0]], time), text});
        return tf.add(tf.mul(y, nextTime / time), tf.mul(x0, 1 - nextTime / time));
      }, start);
      return climb(batch, x);
    });
    expectSame(await slope(lossOn(batch, given)), slow);
  });

  it('alignProp: the whole sampler with early predictions held and its own chain not, at some number of steps', async () => {
    const given = {...plain, variant: 'alignProp', gradientSteps: 3};
    const [batch] = await batchesOf(scored, given);
    const kept = Object.keys(batch['steps']).length;
    expect(kept).to.be.within(1, 3);
    const slow = await slope((trained) =>
      climb(
        batch,
        walk(batch, trained, STEPS, (k, x, velocity) => (k < STEPS - kept ? detach(velocity(x)) : velocity(x))),
      ),
    );
    expectSame(await slope(lossOn(batch, given)), slow);
  });

  it('drTune: the whole sampler with the inputs of its network held, through every second step', async () => {
    const given = {...plain, variant: 'drTune', gradientSteps: 2};
    const [batch] = await batchesOf(scored, given);
    const times = Object.values(batch['steps'] as TransitionBatch).map(
      (step) => ((step as TransitionBatch)['time'] as NdArray).data[0],
    );
    const chosen = times.map((t) => scored.trajectories.table.findIndex(({time}) => Math.fround(time) === t));
    expect(chosen[1] - chosen[0]).to.equal(2);
    const slow = await slope((trained) =>
      climb(
        batch,
        walk(batch, trained, STEPS, (k, x, velocity) => (chosen.includes(k) ? velocity(detach(x)) : detach(velocity(x)))),
      ),
    );
    expectSame(await slope(lossOn(batch, given)), slow);
  });

  it('refl: one jump from a late step, and a hinge', async () => {
    const given = {variant: 'refl', gradientSteps: 3, rewardMargin: 0.4, distillationWeight: 0};
    const [batch] = await batchesOf(scored, given);
    const [first] = Object.values(batch['steps'] as TransitionBatch) as TransitionBatch[];
    const time = (first['time'] as NdArray).data[0];
    const step = scored.trajectories.table.findIndex((row) => Math.fround(row.time) === time);
    expect(step).to.be.within(STEPS - 3, STEPS - 1);
    const slow = await slope((trained) => {
      const x = detach(walk(batch, trained, step, (_, y, velocity) => velocity(y)));
      const text = toTensor(batch['text'] as NdArray);
      const x0 = predictor(trained)({latent: x, time: tf.fill([x.shape[0]], time), text});
      const rewards = scoreOf(x0, mapTree(batch['prompts'] as TransitionBatch, toTensor));
      return tf.sum(tf.relu(tf.sub(0.4, rewards)));
    });
    expectSame(await slope(lossOn(batch, given)), slow);
  });

  for (const c of cases<{grad_scale: number}>('losses.json', 'refl')) {
    it(`refl: the hinge matches ${c.name}, gradient included`, () => {
      const {loss, scalars} = configure({variant: 'refl', distillationWeight: 0});
      const rewards = tf.reshape(tensor(c.inputs.rewards), [-1]);
      const none = tf.zeros([1]);
      const of = (r: tf.Tensor): tf.Scalar => {
        const policy = {...policyOf(none), predict: () => r, reward: (x: tf.Tensor) => x};
        const step = {time: none, scale: none, a: tf.zeros(r.shape), b: tf.ones(r.shape)};
        const batch = {text: none, latent: tf.zeros(r.shape), prompts: {}, steps: {0: step}};
        const sum = loss(
          policy,
          batch,
          mapTree(scalars, (x: number) => tf.scalar(x)),
        ).loss;
        return tf.mul(sum, c.params.grad_scale / rewards.size);
      };
      expectOutput(c, 'loss', of(rewards));
      expectOutput(c, 'grad_loss_wrt_rewards', tf.grad(of)(rewards));
    });
  }

  it('draftLv: jumps from the finished video, noised anew to the last time for each draw', async () => {
    const given = {...plain, variant: 'draftLv', draws: 3};
    const [batch] = await batchesOf(scored, given);
    const {time} = scored.trajectories.table[STEPS - 1];
    const rows = inOrder({text: takeEvery(batch['text'] as NdArray, 3)}).flatMap((row) => [row, row, row]);
    const latent = toTensor(batch['latent'] as NdArray);
    const clean = gathered(scored.trajectories.latents[STEPS], rows);
    const noise = values(tf.div(tf.sub(latent, tf.mul(clean, 1 - time)), time));
    const size = noise.length / rows.length;
    const first = noise.slice(0, size);
    for (let i = 1; i < rows.length; i++) {
      const other = noise.slice(i * size, (i + 1) * size);
      const dot = first.reduce((sum, z, j) => sum + z * other[j], 0);
      expect(Math.abs(dot) / size, `draws 0 and ${i}`).to.be.below(5 / Math.sqrt(size));
    }
    expect(noise.reduce((sum, z) => sum + z * z, 0) / noise.length).to.be.closeTo(1, 0.05);
    const slow = await slope((trained) => {
      const x0 = predictor(trained)({latent, time: tf.fill([rows.length], time), text: toTensor(batch['text'] as NdArray)});
      return climb(batch, x0);
    });
    expectSame(await slope(lossOn(batch, given)), slow);
  });

  for (const distillationTarget of ['self', 'average'] as const) {
    it(`oneStep: distillation towards ${distillationTarget}, written out, and normalised rewards`, async () => {
      const given = {
        distillationTarget,
        // As many as there are prompts: the last one, whose target is the teacher's, is among them.
        distillationSteps: 2,
        variant: 'oneStep',
        distillationWeight: 0.7,
        huberWidth: 0.05,
        rewardNormalisation: 'prompt',
      };
      const [batch] = await batchesOf(scored, given);
      const table = odeTable(2);
      const slow = await slope((trained) => {
        const point = batch['point'] as TransitionBatch;
        const text = toTensor(batch['text'] as NdArray);
        const latent = toTensor(point['latent'] as NdArray);
        const times = Array.from((point['time'] as NdArray).data);
        // Samples of a prompt are noised alike, prompts are not.
        expect(times[0]).to.equal(times[1]);
        expect(times[0]).not.to.equal(times[2]);
        const x0 = predictor(trained)({latent, time: tf.tensor1d(times), text});
        const goal = tf.concat(
          times.map((t, i) => {
            const {nextTime} = table.find((row) => Math.fround(row.time) === t)!;
            const one = (x: tf.Tensor): tf.Tensor => tf.gather(x, [i]);
            const teacher = predictor(toTensor(referenceVector))({latent: one(latent), time: tf.tensor1d([t]), text: one(text)});
            const z = tf.add(one(latent), tf.mul(tf.div(tf.sub(one(latent), teacher), t), nextTime - t));
            const vector = distillationTarget === 'self' ? vectors.trained : averageVector;
            return nextTime === 0 ? z : predictor(toTensor(vector))({latent: z, time: tf.tensor1d([nextTime]), text: one(text)});
          }),
        );
        const rewards = scoreOf(x0, mapTree(batch['prompts'] as TransitionBatch, toTensor));
        const normalised = [0, 2].map((first) => {
          const pair = tf.slice(rewards, [first], [2]);
          const mean = detach(tf.mean(pair));
          const half = detach(tf.div(tf.abs(tf.sub(tf.slice(pair, [0], [1]), tf.slice(pair, [1], [1]))), 2));
          return tf.div(tf.sub(pair, mean), tf.add(half, 1e-6));
        });
        return tf.sub<tf.Scalar>(tf.mul(0.7, tf.sum(pseudoHuber(x0, goal, tf.scalar(0.05)))), tf.sum(tf.concat(normalised)));
      });
      expectSame(await slope(lossOn(batch, given)), slow);
    });
  }

  for (const variant of ['oneStep', 'draftK', 'draftLv', 'alignProp', 'drTune', 'refl']) {
    it(`${variant}: recomputed predictions have the same gradient`, async () => {
      const given = {variant, gradientSteps: 2, distillationWeight: variant === 'oneStep' ? 0.7 : 0, huberWidth: 0.05};
      const [batch] = await batchesOf(scored, given);
      expectSame(await slope(lossOn(batch, {...given, recompute: true})), await slope(lossOn(batch, given)));
    });
  }

  it('compiled: the loss falls along its gradient as fast as its norm says, encoder and decoder in the graph', async () => {
    const given = {
      distillationWeight: 0.5,
      huberWidth: 0.05,
      maxGradNorm: 1e9,
      rewardNormalisation: 'none',
      distillationSteps: 4,
    };
    const [batch] = await batchesOf(scored, given);
    const {loss, scalars, optimizer} = configure(given);
    const learner = await openLearner(nano, device, params, {loss, scalars, optimizer, reward: spotted});
    // Where training begins trained, average and starting policy are one.
    const lossAt: Loss = (trained) =>
      loss(
        {...policyOf(trained), predictReference: predictor(toTensor(vectors.trained))},
        mapTree(batch, toTensor),
        mapTree(scalars, (x: number) => tf.scalar(x)),
      ).loss;
    const eager = asSlope(runEagerly(slopeOf(lossAt), {trained: vectors.trained}));
    const rows = 2 * SAMPLES;
    const {metrics, gradientNorm} = await learner.update([batch], rows);
    expect(metrics['loss']).to.be.closeTo(eager.loss / rows, 1e-5);
    const norm = Math.sqrt(eager.gradient.reduce((sum, g) => sum + g * g, 0)) / rows;
    expect(gradientNorm).to.be.closeTo(norm, 1e-3 * norm);
    await learner.close();

    // What the gradient takes as constant, the target, stands still here too.
    const measure = device.jit('test/loss', (inputs) => ({loss: lossAt(inputs['trained'] as tf.Tensor)}));
    const at = async (by: number): Promise<number> => {
      const data = vectors.trained.data.map((x, i) => x + (by * eager.gradient[i]) / (norm * rows));
      const {outputs} = await measure({trained: {...vectors.trained, data}});
      return (outputs['loss'] as NdArray).data[0] / rows;
    };
    const h = 3e-3;
    expect(((await at(h)) - (await at(-h))) / (2 * h)).to.be.closeTo(norm, 0.02 * norm);
  });

  it('scores inside the graph as the reward does outside, each video with its own caption', async () => {
    const [module] = nano.encoders!;
    const encoder = mapTree(module.initialise(3), (leaf: NdArray, path) => {
      const noise = normals({seed: 4, purpose: path}, new Float32Array(leaf.data.length));
      return float32(
        noise.map((z, i) => leaf.data[i] + 0.1 * z),
        leaf.shape,
      );
    });
    const context = {
      ...bareContext(nano, device),
      encoder: async () => ({module, encoder: module.encoder, params: encoder, file: 'fresh'}),
    };
    const reward = await composeReward('similarity + matching', [similarity, matching]).open(context);
    const given = {variant: 'oneStep', distillationWeight: 0, rewardNormalisation: 'none', distillationSteps: 4};
    const [batch] = await batchesOf(scored, given, reward.differentiable);
    const {loss, scalars, optimizer} = configure(given);
    const learner = await openLearner(nano, device, params, {loss, scalars, optimizer, reward: reward.differentiable!});
    const {metrics, gradientNorm} = await learner.update([batch], 2 * SAMPLES);
    expect(gradientNorm).to.be.above(0);

    const {latent, time} = batch['point'] as Record<string, NdArray>;
    const jump = device.jit('test/jump', (inputs) => ({
      x0: nano.policy.denoise(
        policyTensors({trained: inputs['trained'] as tf.Tensor, frozen: inputs['frozen'] as tf.Tensor}, layout),
        inputs['latent'] as tf.Tensor,
        inputs['time'] as tf.Tensor,
        inputs['text'] as tf.Tensor,
      ),
    }));
    const {x0} = (await jump({...vectors, latent, time, text: batch['text']})).outputs as {x0: NdArray<'float32'>};
    const prompts = inOrder(batch).map((row) => scored.trajectories.prompts[row]);
    const scores = await reward.score(nano.decode(x0), prompts);
    const mean = scores.reduce((sum, r) => sum + r, 0) / scores.length;
    expect(metrics['reward']).to.be.closeTo(mean, 1e-5);
    const swapped = await reward.score(nano.decode(x0), [...prompts].reverse());
    expect(Math.abs(swapped.reduce((sum, r) => sum + r, 0) / scores.length - mean)).to.be.above(5e-5);
    await learner.close();
    await reward.close!();
  });

  it('names what has no effect', () => {
    const idle = (given: Given): string[] => direct.idle!({...tuneConfig(direct, {iterations: 1}), ...given}).map(({key}) => key);
    const undistilled = ['distillationTarget', 'huberWidth', 'distillationSteps'];
    expect(idle({})).to.deep.equal(['noiseLevel', 'sampler', 'draws', 'rewardMargin', ...undistilled]);
    expect(idle({variant: 'oneStep', distillationWeight: 1})).to.deep.equal([
      'noiseLevel',
      'sampler',
      'gradientSteps',
      'draws',
      'rewardMargin',
    ]);
    expect(idle({variant: 'refl', sampler: 'ddim', distillationWeight: 0})).to.deep.equal([
      'noiseLevel',
      'draws',
      'rewardNormalisation',
      ...undistilled,
    ]);
    expect(idle({variant: 'draftLv'}))
      .to.include('gradientSteps')
      .and.not.include('draws');
    expect(() => tuneConfig(direct, {iterations: 1, noiseLevel: 1})).to.throw('noiseLevel: has no effect in this run');
    expect(() => tuneConfig(direct, {iterations: 1, variant: 'draftK', gradientSteps: 9})).to.throw(
      'wanted at most the 8 samplingSteps',
    );
  });

  it('draftK: graph and batch grow with the steps that carry gradient, and with no other step', async () => {
    const sizes = async (steps: number, gradientSteps: number): Promise<{bytes: number; compiled: CompileReport[]}> => {
      const compiled: CompileReport[] = [];
      const own = await openOrtDevice('cpu', {provider: 'cpu', threads: 1}, {onCompile: (report) => compiled.push(report)});
      const given = {...plain, variant: 'draftK', gradientSteps};
      const [batch] = await batchesOf(await rollout(steps), given);
      const {loss, scalars, optimizer} = configure(given);
      const learner = await openLearner(nano, own, params, {loss, scalars, optimizer, reward: spotted});
      await learner.update([batch], 2 * SAMPLES);
      await own.close();
      const bytes = leaves<NdArray>(batch).reduce((sum, [, {data}]) => sum + data.byteLength, 0);
      return {bytes, compiled: compiled.filter(({name}) => name === 'learn/accumulate')};
    };
    const [few, many, deep] = [await sizes(3, 1), await sizes(9, 1), await sizes(9, 2)];
    const sizeOf = ({compiled}: typeof few): number[] => compiled.flatMap(({nodes, modelBytes}) => [nodes, modelBytes]);
    expect(few.compiled).to.have.length(1);
    expect(many.bytes).to.equal(few.bytes);
    expect(sizeOf(many)).to.deep.equal(sizeOf(few));
    expect(deep.compiled[0].nodes).to.be.above(1.5 * many.compiled[0].nodes);
  });
});

describe('direct: memory', function () {
  this.timeout(300_000);

  it('of draftK, recomputed, is that of one step whatever gradientSteps is', async () => {
    const rows = 4;
    const spec = (...shape: number[]): InputSpec => ({dtype: 'float32', shape});
    const row = {time: spec(rows), scale: spec(rows), a: spec(rows), b: spec(rows)};
    const peak = async (gradientSteps: number, again: boolean): Promise<number> => {
      const {loss} = configure({variant: 'draftK', gradientSteps, distillationWeight: 0, recompute: again});
      const batch = {
        text: spec(rows, nano.policy.textLength, 64),
        latent: spec(rows, ...nano.latentShape),
        prompts: {length: spec(rows)},
        steps: Object.fromEntries(Array.from({length: gradientSteps}, (_, i) => [i, row])),
      };
      const scalars = {rewardMargin: spec(), distillationWeight: spec(), huberWidth: spec()};
      const found = await runtimeGraph(
        (given) => ({
          gradient: tf.grad(
            (p: tf.Tensor) => loss(policyOf(p), given['batch'] as Branch<tf.Tensor>, given['scalars'] as Branch<tf.Tensor>).loss,
          )(given['trained'] as tf.Tensor),
        }),
        {trained: spec(...vectors.trained.shape), batch, scalars},
      );
      return found.livePeak;
    };
    const [keptOne, keptFour] = [await peak(1, false), await peak(4, false)];
    const [one, four] = [await peak(1, true), await peak(4, true)];
    expect(keptFour).to.be.above(2.5 * keptOne);
    // Every step adds a gradient of the parameters, which is summed at the end.
    expect(four - 3 * vectors.trained.data.length).to.be.below(1.2 * one);
  });
});

/** Every n-th row. */
const takeEvery = (a: NdArray, n: number): NdArray<'float32'> => {
  const size = a.data.length / a.shape[0];
  const rows = Array.from({length: a.shape[0] / n}, (_, i) => Array.from(a.data.subarray(i * n * size, (i * n + 1) * size)));
  return float32(rows.flat(), [rows.length, ...a.shape.slice(1)]);
};
