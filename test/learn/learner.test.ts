/** The learner: one update is AdamW on the mean gradient, however it is cut; what is not finite changes nothing. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {gaussianToy} from '../../environments/gaussianToy.js';
import type {LossFunction, OptimizerOptions, Scored, TransitionBatch} from '../../src/algorithm.js';
import type {Device} from '../../src/engine/device.js';
import {ConfigError, ContractError, NonFiniteError} from '../../src/errors.js';
import {createLearner, type LearnerSnapshot, type ResidentLearner} from '../../src/learn/learner.js';
import {chunks, gatherTransitions, stochasticTransitions, type TransitionRef} from '../../src/learn/transitions.js';
import {samplerTables} from '../../src/numeric/samplers/named.js';
import {createGenerator} from '../../src/rollout/generate.js';
import {packPolicyFor} from '../../src/rollout/residentPolicy.js';
import {float32, type NdArray} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';
import {rejection} from '../support/files.js';
import {expectClose} from '../support/golden.js';
import {nano, noisyWeights, openLearner, plainDdpo} from '../support/nano.js';
import {baseMeans, openTestDevice} from '../support/toy.js';

type Vector = NdArray<'float32'>;
type State = Record<'trained' | 'average' | 'first' | 'second', Vector>;
const stateOf = async (learner: ResidentLearner): Promise<State> => (await learner.snapshot()).arrays as State;

describe('learner', function () {
  this.timeout(120_000);
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  describe('of a real policy', () => {
    const params = noisyWeights(nano);
    const scored: Scored[] = [];
    let refs: TransitionRef[];
    const advantages = normals({seed: 4, purpose: 'advantages'}, new Float32Array(4));
    before(async () => {
      const tables = samplerTables('flowSde', 4, 0.7);
      const learner = await openLearner(nano, device, params);
      const generate = createGenerator(nano, device, packPolicyFor(nano, params), 'gaussian', 1);
      const request = {prompts: nano.prompts('train', 2), samples: 2, table: tables.stochastic, seed: 5, iteration: 0};
      const trajectories = await generate(learner.policy, {...request, purpose: 'test', sharedStart: false});
      scored.push({trajectories, rewards: advantages});
      refs = stochasticTransitions(scored);
      await learner.close();
    });
    const batchesOf = (size: number): TransitionBatch[] =>
      chunks(refs, size).map((part) => gatherTransitions(scored, part, [advantages]));

    it('gives the same update whatever the size of a microbatch', async () => {
      const found: State[] = [];
      for (const size of [12, 5]) {
        const learner = await openLearner(nano, device, params);
        const {metrics, gradientNorm} = await learner.update(batchesOf(size), refs.length);
        expect(gradientNorm).to.be.above(0);
        expect(metrics['loss']).to.be.a('number');
        found.push(await stateOf(learner));
        await learner.close();
      }
      const [whole, cut] = found;
      const scale = whole.first.data.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
      // The gradient; AdamW's first step is its sign, which rounding decides where it is 0.
      expectClose(cut.first.data, whole.first.data, 1e-6 * scale, 1e-4);
      const signal = whole.first.data.map((m) => (Math.abs(m) > 1e-4 * scale ? 1 : 0));
      expect(signal.reduce((n, s) => n + s, 0)).to.be.above(1000);
      expectClose(
        cut.trained.data.map((x, i) => x * signal[i]),
        whole.trained.data.map((x, i) => x * signal[i]),
        1e-6,
      );
    });

    it('goes on from a snapshot as it would have gone on by itself, bit for bit', async () => {
      const learner = await openLearner(nano, device, params);
      await learner.update(batchesOf(12), refs.length);
      const snapshot = await learner.snapshot();
      await learner.update(batchesOf(12), refs.length);
      const resumed = await openLearner(nano, device, params, {}, snapshot);
      expect(resumed.updates).to.equal(1);
      await resumed.update(batchesOf(12), refs.length);
      expect(await resumed.snapshot()).to.deep.equal(await learner.snapshot());
      expect(resumed.updates).to.equal(2);
    });
  });

  describe('in closed form', () => {
    const toy = gaussianToy();
    const params = toy.initialise(0);
    const optimizer = {learningRate: 0.1, beta1: 0.5, beta2: 0.75, weightDecay: 0.1, maxGradientNorm: 1, averageDecay: 0.9};
    /** Σ advantage · Σ mean: its gradient is the advantage for every parameter; a root makes it NaN below 0. */
    const open = (
      loss: LossFunction,
      change: Partial<OptimizerOptions> = {},
      keepsOld = false,
      from?: LearnerSnapshot,
      overlapRollouts = false,
    ): Promise<ResidentLearner> =>
      createLearner(
        {
          environment: toy,
          device,
          layout: packPolicyFor(toy, params),
          loss,
          scalars: {factor: 3},
          optimizer: {...optimizer, ...change},
          density: 'gaussian',
          guidanceScale: 1,
          microbatch: 8,
          keepsOld,
          overlapRollouts,
          reference: params,
        },
        from,
      );
    /** A prediction at t = 1 is μ of each row's prompt. */
    const batch = (rows: readonly {prompt: number; advantage: number}[]): TransitionBatch => {
      const n = rows.length;
      const text = float32(
        rows.flatMap(({prompt}) => baseMeans.map((_, i) => Number(i === prompt))),
        [n, 1, 4],
      );
      const latent = float32(new Float32Array(n), [n, 1, 1, 1, 1]);
      const ones = float32(new Float32Array(n).fill(1));
      return {latent, text, time: ones, scale: ones, advantage: float32(rows.map((r) => r.advantage))};
    };
    const sumOf: LossFunction = (policy, inputs, scalars) => {
      const {advantage} = inputs as Record<string, tf.Tensor>;
      const mu = tf.reshape(policy.predict(inputs), [-1]);
      const reference = tf.reshape(policy.predictReference(inputs), [-1]);
      const loss = tf.mul<tf.Scalar>(tf.sum(tf.mul(advantage, mu)), scalars['factor'] as tf.Tensor);
      return {loss, metrics: {moved: tf.sum<tf.Scalar>(tf.abs(tf.sub(mu, reference)))}};
    };

    // Of a gradient that never changes AdamW makes steps of the learning rate.
    const cosine = (share: number): number => 0.2 + 0.8 * 0.5 * (1 + Math.cos(Math.PI * share));
    for (const [title, change, shares] of [
      ['a constant rate', {}, [1, 1, 1, 1, 1, 1]],
      ['a warm-up', {warmup: 4}, [1 / 4, 2 / 4, 3 / 4, 1, 1, 1]],
      ['a linear descent', {schedule: 'linear', scheduleUpdates: 5, finalRate: 0.5}, [0.9, 0.8, 0.7, 0.6, 0.5, 0.5]],
      [
        'a cosine after a warm-up',
        {warmup: 2, schedule: 'cosine', scheduleUpdates: 5, finalRate: 0.2},
        [1 / 2, 1, cosine(1 / 3), cosine(2 / 3), 0.2, 0.2],
      ],
    ] as const) {
      it(`steps by the rate of ${title}, and by the same after a snapshot`, async () => {
        const settings = {weightDecay: 0, maxGradientNorm: 100, ...change};
        const rows = batch([{prompt: 0, advantage: 1}]);
        const meanOf = async (learner: ResidentLearner): Promise<number> => (await stateOf(learner)).trained.data[0];
        let learner = await open(sumOf, settings);
        const found: number[] = [];
        for (const at of shares.keys()) {
          if (at === 3) {
            const snapshot = await learner.snapshot();
            await learner.close();
            learner = await open(sumOf, settings, false, snapshot);
          }
          const before = await meanOf(learner);
          await learner.update([rows], 1);
          found.push(before - (await meanOf(learner)));
        }
        await learner.close();
        expectClose(
          found,
          shares.map((share) => 0.1 * share),
          1e-6,
          1e-5,
        );
      });
    }

    it('is AdamW on the clipped mean gradient, with an average of the weights', async () => {
      const learner = await open(sumOf);
      const rows = [
        {prompt: 0, advantage: 1},
        {prompt: 0, advantage: 2},
        {prompt: 3, advantage: -4},
      ];
      // By hand: gradient = 3·Σ advantage / 3 = [3, 0, 0, −4], of norm 5, so clipped to [.6, 0, 0, −.8].
      const g = [0.6, 0, 0, -0.8];
      const [x, m, v, average] = [[...baseMeans], [0, 0, 0, 0], [0, 0, 0, 0], [...baseMeans]];
      for (let n = 1; n <= 3; n++) {
        const {gradientNorm, metrics} = await learner.update([batch(rows.slice(0, 1)), batch(rows.slice(1))], 3);
        expect(gradientNorm).to.be.closeTo(5, 1e-5);
        expect(metrics['loss']).to.be.closeTo((3 * (x[0] * 3 - 4 * x[3])) / 3, 1e-5);
        expect(metrics['moved']).to.be.closeTo((2 * Math.abs(x[0] - baseMeans[0]) + Math.abs(x[3] - baseMeans[3])) / 3, 1e-5);
        const decay = Math.min(n / (9 + n), 0.9);
        for (let i = 0; i < 4; i++) {
          m[i] = 0.5 * m[i] + 0.5 * g[i];
          v[i] = 0.75 * v[i] + 0.25 * g[i] ** 2;
          x[i] = x[i] * (1 - 0.1 * 0.1) - (0.1 * (m[i] / (1 - 0.5 ** n))) / (Math.sqrt(v[i] / (1 - 0.75 ** n)) + 1e-8);
          average[i] = decay * average[i] + (1 - decay) * x[i];
        }
        const state = await stateOf(learner);
        expectClose(state.trained.data, x, 1e-6);
        expectClose(state.average.data, average, 1e-6);
        expect(learner.updates).to.equal(n);
      }
      expectClose(((await learner.averagedParams())['mean'] as Vector).data, average, 1e-6);
      expectClose(((await device.get(learner.reference))['trained'] as Vector).data, baseMeans, 1e-7);
    });

    /** Σ advantage·(μ − μ_old): what the old policy predicts shows in the loss, and moves nothing by itself. */
    const sinceOld: LossFunction = (policy, inputs) => {
      const gap = tf.sub(policy.predict(inputs), policy.predictOld(inputs));
      const {advantage} = inputs as Record<string, tf.Tensor>;
      return {loss: tf.sum<tf.Scalar>(tf.mul(advantage, tf.reshape(gap, [-1]))), metrics: {}};
    };
    const oldOf = async (learner: ResidentLearner): Promise<Vector> => (await device.get(learner.acting))['trained'] as Vector;

    it('keeps an old policy that acts, and follows as far as it is told and no farther', async () => {
      const learner = await open(sinceOld, {}, true);
      const good = [batch([{prompt: 1, advantage: -2}])];
      await learner.update(good, 1);
      expectClose((await oldOf(learner)).data, baseMeans, 1e-7);
      const {trained} = await stateOf(learner);
      expect(Math.abs(trained.data[1] - baseMeans[1])).to.be.above(0.05);
      const {loss} = await learner.evaluate(good[0]);
      expect(loss.data[0]).to.be.closeTo(-2 * (trained.data[1] - baseMeans[1]), 1e-6);
      await learner.moveOld(0.25);
      expectClose(
        (await oldOf(learner)).data,
        baseMeans.map((m, i) => 0.25 * m + 0.75 * trained.data[i]),
        1e-6,
      );
      expect((await stateOf(learner)).trained).to.deep.equal(trained);
      await learner.moveOld(0);
      expect(await oldOf(learner)).to.deep.equal(trained);
    });

    it('goes on from a snapshot with its old policy, bit for bit', async () => {
      const learner = await open(sinceOld, {}, true);
      const good = [batch([{prompt: 1, advantage: -2}])];
      await learner.update(good, 1);
      await learner.moveOld(0.5);
      const snapshot = await learner.snapshot();
      const resumed = await open(sinceOld, {}, true, snapshot);
      for (const one of [learner, resumed]) {
        await one.update(good, 1);
        await one.moveOld(0.3);
      }
      expect(await oldOf(learner)).not.to.deep.equal(snapshot.arrays['old']);
      expect(await resumed.snapshot()).to.deep.equal(await learner.snapshot());
    });

    it('lets the policy that samples stand still while updates run, catch up when told to, and go back', async () => {
      const learner = await open(sumOf, {}, false, undefined, true);
      const good = [batch([{prompt: 1, advantage: -2}])];
      const trainedOf = async (): Promise<Vector> => (await stateOf(learner)).trained;
      const base = await oldOf(learner);
      await learner.advance();
      await learner.update(good, 1);
      const first = await trainedOf();
      expect(await oldOf(learner)).to.deep.equal(base);
      expect(first).not.to.deep.equal(base);
      await learner.advance();
      await learner.update(good, 1);
      expect(await oldOf(learner)).to.deep.equal(first);
      const moved = async (policy?: 'acting'): Promise<number> => (await learner.evaluate(good[0], policy))['moved'].data[0];
      expect(await moved('acting')).to.be.closeTo(Math.abs(first.data[1] - baseMeans[1]), 1e-7);
      expect(await moved()).to.be.closeTo(Math.abs((await trainedOf()).data[1] - baseMeans[1]), 1e-7);
      await learner.retreat();
      expect(await oldOf(learner)).to.deep.equal(base);
    });

    it('asks the old policy as it was when it sampled, where rollouts overlap updates', async () => {
      const learner = await open(sinceOld, {}, true, undefined, true);
      const rows = batch([{prompt: 1, advantage: -2}]);
      // The old policy before each iteration; half of the way to the trained one in each.
      const old: number[] = [baseMeans[1]];
      for (let k = 0; k < 4; k++) {
        await learner.advance();
        await learner.update([rows], 1);
        const trained = (await stateOf(learner)).trained.data[1];
        // What iteration k learns from was sampled by the old policy as it was before iteration k − 1.
        const {loss} = await learner.evaluate(rows);
        expect(loss.data[0], `iteration ${k}`).to.be.closeTo(-2 * (trained - old[Math.max(0, k - 1)]), 1e-6);
        expect((await oldOf(learner)).data[1], `ahead of iteration ${k}`).to.be.closeTo(old[k], 1e-6);
        await learner.moveOld(0.5);
        old.push((old[k] + trained) / 2);
        expect(old[k + 1]).to.be.above(old[k] + 0.01);
      }
    });

    for (const keepsOld of [false, true]) {
      const whose = keepsOld ? 'an old policy' : 'the trained policy';
      it(`goes on from a snapshot with what samples while ${whose} moves on, bit for bit`, async () => {
        const loss = keepsOld ? sinceOld : sumOf;
        const learner = await open(loss, {}, keepsOld, undefined, true);
        const iterate = async (one: ResidentLearner): Promise<void> => {
          await one.advance();
          await one.update([batch([{prompt: 1, advantage: -2}])], 1);
          if (keepsOld) await one.moveOld(0.3);
        };
        for (let k = 0; k < 2; k++) await iterate(learner);
        const snapshot = await learner.snapshot();
        expect(snapshot.arrays['acting']).not.to.deep.equal(snapshot.arrays['trained']);
        const resumed = await open(loss, {}, keepsOld, snapshot, true);
        expect(await oldOf(resumed)).to.deep.equal(await oldOf(learner));
        for (let k = 0; k < 2; k++) for (const one of [learner, resumed]) await iterate(one);
        expect(await resumed.snapshot()).to.deep.equal(await learner.snapshot());
      });
    }

    it('goes on from no snapshot that was made the other way, and does not advance where nothing overlaps', async () => {
      const [plain, overlapping] = [await open(sumOf), await open(sumOf, {}, false, undefined, true)];
      const refusal = async (from: ResidentLearner, overlapRollouts: boolean): Promise<Error> =>
        rejection(open(sumOf, {}, false, await from.snapshot(), overlapRollouts));
      expect(await refusal(plain, true)).to.be.instanceOf(ConfigError);
      expect((await refusal(plain, true)).message).to.match(/^overlapRollouts: wanted false, as it was when the checkpoint/);
      expect((await refusal(overlapping, false)).message).to.match(/^overlapRollouts: wanted true, as it was .*; got false\./);
      for (const asked of [() => plain.advance(), () => plain.retreat()]) {
        expect((await rejection(asked())).message).to.match(/^learner: wanted overlapRollouts: true where it is made/);
      }
    });

    it('has no old policy where none is kept: the trained one acts', async () => {
      const learner = await open(sinceOld);
      expect(learner.acting['trained']).to.equal(learner.policy['trained']);
      for (const asked of [() => learner.moveOld(0), () => learner.evaluate(batch([{prompt: 1, advantage: 1}]))]) {
        const error = await rejection(asked());
        expect(error).to.be.instanceOf(ContractError);
        expect(error.message).to.match(/there is no old policy; wanted keepsOld: true/);
      }
    });

    /** The root of the advantages: NaN for a negative one. Its gradient with respect to them does not matter. */
    const rootOf: LossFunction = (policy, inputs) => {
      const {advantage} = inputs as Record<string, tf.Tensor>;
      return {loss: tf.sum<tf.Scalar>(tf.mul(tf.sqrt(advantage), tf.reshape(policy.predict(inputs), [-1]))), metrics: {}};
    };
    /** Finite, with a gradient of 0·∞ at advantage 0. */
    const steep: LossFunction = (policy, inputs) => {
      const {advantage} = inputs as Record<string, tf.Tensor>;
      return {
        loss: tf.sum<tf.Scalar>(tf.sqrt(tf.mul(tf.square(tf.reshape(policy.predict(inputs), [-1])), advantage))),
        metrics: {},
      };
    };

    for (const [what, loss, poison] of [
      ['loss', rootOf, -1],
      ['gradient norm', steep, 0],
    ] as const) {
      it(`leaves everything as it was, bit for bit, when the ${what} is not finite, and goes on`, async () => {
        const learner = await open(loss);
        const untouched = await open(loss);
        const good = [batch([{prompt: 1, advantage: 4}])];
        await learner.update(good, 1);
        await untouched.update(good, 1);
        const before = await learner.snapshot();
        // The first microbatch is good: what it has added must not be left over either.
        const error = await rejection(
          learner.update([batch([{prompt: 2, advantage: 1}]), batch([{prompt: 0, advantage: poison}])], 2),
        );
        expect(error).to.be.instanceOf(NonFiniteError);
        expect(error.message).to.match(new RegExp(`^update 2: the ${what} is NaN; nothing was applied`));
        expect(await learner.snapshot()).to.deep.equal(before);
        await learner.update(good, 1);
        await untouched.update(good, 1);
        expect(await learner.snapshot()).to.deep.equal(await untouched.snapshot());
      });
    }

    it('evaluates without a trace', async () => {
      const learner = await open(sumOf);
      const before = await learner.snapshot();
      const {loss, moved} = await learner.evaluate(batch([{prompt: 3, advantage: 2}]));
      expect(loss.data[0]).to.be.closeTo(3 * 2 * baseMeans[3], 1e-6);
      expect(moved.data[0]).to.equal(0);
      expect(await learner.snapshot()).to.deep.equal(before);
    });
  });

  it('has a gradient of the divergence from the reference wherever they differ', async () => {
    const toy = gaussianToy();
    const params = toy.initialise(0);
    const tables = samplerTables('flowSde', 4, 0.7);
    const layout = packPolicyFor(toy, params);
    const {loss, scalars, optimizer} = plainDdpo({klCoefficient: 1, maxGradNorm: 1e6, learningRate: 0.01});
    const learner = await openLearner(toy, device, params, {loss, scalars, optimizer});
    const generate = createGenerator(toy, device, layout, 'gaussian', 1);
    const request = {prompts: toy.prompts('train', 1), samples: 4, table: tables.stochastic, seed: 5, iteration: 0};
    const run = async (advantage: number): Promise<{metrics: Readonly<Record<string, number>>; gradientNorm: number}> => {
      const trajectories = await generate(learner.policy, {...request, purpose: 'test', sharedStart: false});
      const scored = [{trajectories, rewards: new Float32Array(4)}];
      const refs = stochasticTransitions(scored);
      return learner.update([gatherTransitions(scored, refs, [new Float32Array(4).fill(advantage)])], refs.length);
    };
    // At the reference neither the penalty nor, with advantage 0, the surrogate pulls.
    expect((await run(0)).gradientNorm).to.equal(0);
    await run(1);
    const away = await run(0);
    expect(away.metrics['klReference']).to.be.above(0);
    expect(away.gradientNorm).to.be.above(1e-4);
  });
});
