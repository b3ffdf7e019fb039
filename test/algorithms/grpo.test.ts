/** What GRPO hands to its learner and what it remembers; its loss from end to end; what it refuses. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {lastValueFrom, of} from 'rxjs';
import type {z} from 'zod';
import {grpo} from '../../algorithms/grpo.js';
import type {ConfiguredAlgorithm, Learner, PolicyInGraph, Scored, TrainState} from '../../src/algorithm.js';
import {ConfigError} from '../../src/errors.js';
import {groupAdvantages} from '../../src/numeric/advantages.js';
import {flowSde, wanSde} from '../../src/numeric/samplers/flowSde.js';
import {odeTable} from '../../src/numeric/samplers/named.js';
import {flowSigmas} from '../../src/numeric/schedule.js';
import {normals} from '../../src/tensor/random.js';
import {float32, type NdArray} from '../../src/tensor/ndarray.js';
import {mapTree, type Params} from '../../src/tensor/tree.js';
import {tuneConfig} from '../../src/tune/schema.js';
import {toTensor} from '../support/eager.js';
import {cases, column, expectClose, expectOutput, numbers, tensor, values, type GoldenTensor} from '../support/golden.js';
import {inputsOf} from '../support/flowPeers.js';
import {rejection} from '../support/files.js';

type Change = Readonly<Partial<z.output<typeof grpo.options>>>;
const configured = (change: Change = {}): ConfiguredAlgorithm => grpo.configure(grpo.options.parse(change));

const STEPS = 4;
const table = flowSde(flowSigmas(STEPS, {shift: 3}), {noiseLevel: 0.7});
const draw = (purpose: string, n: number): Float32Array => normals({seed: 4, purpose}, new Float32Array(n));

/** Two batches of two prompts with four samples each; latents of two numbers. */
function scoredBatches(
  rewardOf: (i: number) => number,
  parts?: Record<string, {weight: number; of: (i: number) => number}>,
): Scored[] {
  return [0, 1].map((batch) => {
    const rows = [0, 1, 2, 3, 4, 5, 6, 7].map((row) => 8 * batch + row);
    const arrays = (name: string, n: number): NdArray<'float32'>[] =>
      Array.from({length: n}, (_, k) => float32(draw(`${name}/${batch}/${k}`, 16), [8, 2]));
    return {
      trajectories: {
        prompts: rows.map((i) => ({id: `p${Math.floor(i / 4)}`, text: ''})),
        latents: arrays('latent', STEPS + 1),
        logProbs: table.map((_, k) => draw(`logProb/${batch}/${k}`, 8)),
        text: float32([0, 0], [2, 1, 1]),
        textRow: rows.map((i) => Math.floor((i % 8) / 4)),
        table,
        noises: arrays('noise', STEPS).map((noise, k) => (table[k].std > 0 ? noise : undefined)),
        videos: float32(rows, [8, 1, 1, 1, 1]),
      },
      rewards: Float32Array.from(rows, rewardOf),
      ...(parts && {
        parts: Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, Float32Array.from(rows, part.of)])),
        weights: Object.fromEntries(Object.entries(parts).map(([name, {weight}]) => [name, weight])),
      }),
    };
  });
}

/** Learns from one iteration with a learner that keeps what it is given. */
async function learnOnce(
  change: Change,
  scored: readonly Scored[],
  state?: TrainState,
  microbatch = 100,
): Promise<{updates: Params[][]; counts: number[]; state: TrainState}> {
  const updates: Params[][] = [];
  const counts: number[] = [];
  const learner: Learner = {
    microbatch,
    evaluate: async () => ({}),
    update: async (batches, transitions) => {
      updates.push([...batches]);
      counts.push(transitions);
      return {metrics: {loss: 1, klReference: 0.5}, gradientNorm: 2};
    },
    moveOld: () => Promise.reject(new Error('GRPO keeps no old policy')),
  };
  const algorithm = configured(change);
  const start = state ?? {iteration: 0, memory: algorithm.initialMemory, metrics: {}};
  const next = await lastValueFrom(algorithm.learn(of(...scored), start, {learner, seed: 1}));
  return {updates, counts, state: next};
}

/** The rows of a batch as [reward of the sample, advantages]: `latent` tells which sample it was. */
function advantagesBySample(batches: readonly Params[], scored: readonly Scored[]): Map<number, number[]> {
  const [batch] = batches as Record<string, NdArray<'float32'>>[];
  const {latent, advantage} = batch;
  const width = advantage.data.length / latent.shape[0];
  const found = new Map<number, number[]>();
  for (let i = 0; i < latent.shape[0]; i++) {
    const at = scored.flatMap(({trajectories}, b) =>
      trajectories.latents.flatMap(({data}) =>
        [...Array(8).keys()].flatMap((row) => (data[2 * row] === latent.data[2 * i] ? [8 * b + row] : [])),
      ),
    );
    expect(at).to.have.length(1);
    found.set(at[0], [...advantage.data.subarray(i * width, (i + 1) * width)]);
  }
  return found;
}

const value = (i: number): number => Math.sin(7 * i);
const other = (i: number): number => Math.cos(3 * i) * 100;
const two = {a: {weight: 2, of: value}, b: {weight: -0.5, of: other}};
const groups = [...Array(16).keys()].map((i) => Math.floor(i / 4));
const close = (found: Map<number, number[]>, wanted: readonly ArrayLike<number>[]): void => {
  for (const [sample, advantages] of found)
    expectClose(
      advantages,
      wanted.map((list) => list[sample]),
      1e-5,
      1e-5,
      `sample ${sample}`,
    );
};
const all = (of_: (i: number) => number): number[] => [...Array(16).keys()].map((i) => Math.fround(of_(i)));

describe('grpo, what it learns from', () => {
  const plain: Change = {anchorCoefficient: 0};

  it('every noisy step of every sample, once, with the advantage in its group', async () => {
    const scored = scoredBatches(value);
    const {updates, counts, state} = await learnOnce(plain, scored);
    expect(counts).to.deep.equal([16 * (STEPS - 1)]);
    const found = advantagesBySample(updates[0], scored);
    expect(found.size).to.equal(16);
    close(found, [groupAdvantages(all(value), groups)]);
    expect(state.iteration).to.equal(1);
    expect(state.metrics).to.include({'policy/loss': 1, 'policy/gradientNorm': 2, 'policy/equalGroups': 0});
  });

  it('the advantage in its group without outliers, if they are left out', async () => {
    const scored = scoredBatches(value);
    const change = {...plain, trimmedShare: 0.25, advantageClip: 1000};
    const [lowest, both] = [
      groupAdvantages(all(value), groups, {trim: {share: 0.25, ends: 'lowest'}}),
      groupAdvantages(all(value), groups, {trim: {share: 0.25, ends: 'both'}}),
    ];
    close(advantagesBySample((await learnOnce(change, scored)).updates[0], scored), [lowest]);
    close(advantagesBySample((await learnOnce({...change, trimmedEnds: 'both'}, scored)).updates[0], scored), [both]);
  });

  it('the share of groups that tell nothing', async () => {
    const {state} = await learnOnce(
      plain,
      scoredBatches((i) => (i < 12 ? 3 : i)),
    );
    expect(state.metrics['policy/equalGroups']).to.equal(0.75);
  });

  it('the best and the worst of each prompt, and their last steps', async () => {
    const {updates, counts} = await learnOnce(
      {bestOf: 2, anchorCoefficient: 1},
      scoredBatches((i) => i % 4),
    );
    expect(counts).to.deep.equal([4 * 2 * (STEPS - 1)]);
    const [noisy, last] = updates[0] as Record<string, NdArray<'float32'>>[];
    const size = groupAdvantages([0, 1, 2, 3], [0, 0, 0, 0])[3];
    expectClose(
      noisy['advantage'].data.map((x) => Math.abs(x)),
      new Array<number>(24).fill(size),
      1e-6,
    );
    // A quarter of the eight that are kept.
    expect(last['latent'].shape[0]).to.equal(2);
    expect(last['next']).to.equal(undefined);
  });

  it('steps weighed by 1/Δt and noise for GRPO-Guard, and neither otherwise', async () => {
    const scored = scoredBatches(value);
    const [[guarded]] = (await learnOnce({...plain, objective: 'guard'}, scored)).updates as Record<string, NdArray>[][];
    const rowOf = new Map(table.map((row) => [Math.fround(row.time), row]));
    const lengths = [...guarded['time'].data].map((t) => rowOf.get(t)!).map(({time, nextTime}) => 1 / (time - nextTime));
    expectClose(guarded['weight'].data, lengths, 1e-5, 1e-6);
    expect(guarded['noise'].shape).to.deep.equal([48, 2]);
    const [[clipped]] = (await learnOnce(plain, scored)).updates as Record<string, NdArray>[][];
    expect(new Set(clipped['weight'].data)).to.deep.equal(new Set([1]));
    expect([configured({objective: 'guard'}).keepNoise, configured().keepNoise]).to.deep.equal([true, false]);
  });

  it('several rewards: their own advantages weighed, or a column for each', async () => {
    const scored = scoredBatches((i) => 2 * value(i) - 0.5 * other(i), two);
    const [a, b] = [value, other].map((r) => groupAdvantages(all(r), groups));
    const combined = async (change: Change): Promise<Map<number, number[]>> =>
      advantagesBySample((await learnOnce({...plain, ...change}, scored)).updates[0], scored);
    close(await combined({combination: 'normalised'}), [a.map((x, i) => 2 * x - 0.5 * b[i])]);
    close(await combined({combination: 'separate'}), [a.map((x) => 2 * x), b.map((x) => -0.5 * x)]);
    close(await combined({combination: 'sum'}), [
      groupAdvantages(
        all((i) => 2 * value(i) - 0.5 * other(i)),
        groups,
      ),
    ]);
  });

  it('a constraint: both advantages, the multiplier weighing the second, kept in the memory and logged', async () => {
    const scored = scoredBatches((i) => value(i) + other(i), {a: {weight: 3, of: value}, b: {weight: 1, of: other}});
    const change: Change = {...plain, combination: 'constrained', floors: {b: 1e6}, multiplierRate: 0.5};
    const [a, b] = [(i: number) => 3 * value(i), other].map((r) => groupAdvantages(all(r), groups));
    const first = await learnOnce(change, scored);
    expect(first.state.memory).to.deep.equal({klCoefficient: 0, multipliers: {b: 0.5}});
    expect(first.state.metrics['policy/multiplier/b']).to.equal(0.5);
    close(advantagesBySample(first.updates[0], scored), [a.map((x, i) => (x + 0.5 * b[i]) / 1.5)]);
    const resumed = JSON.parse(JSON.stringify(first.state)) as TrainState;
    const second = await learnOnce(change, scored, resumed);
    expect(second.state.memory).to.deep.equal({klCoefficient: 0, multipliers: {b: 1}});
  });

  it('a steered penalty: the coefficient goes with the batch, and is steered by what was measured', async () => {
    const change: Change = {...plain, klCoefficient: 2, klTarget: 0.25};
    const {updates, state} = await learnOnce(change, scoredBatches(value));
    const [[batch]] = updates as Record<string, NdArray>[][];
    expect([batch['klCoefficient'].shape, batch['klCoefficient'].data[0]]).to.deep.equal([[], 2]);
    expect(state.metrics['policy/klCoefficient']).to.equal(2);
    // Measured .5 against .25: 2 % up.
    expect(state.memory).to.deep.equal({klCoefficient: 2 * 1.02, multipliers: {}});
  });
});

describe('grpo, what it distils', () => {
  const one: Change = {anchorCoefficient: 0, distillationWeight: 2, distillationSteps: 50};
  const points = (batches: readonly Params[]): Record<string, NdArray>[] =>
    batches.flatMap((batch) =>
      'point' in batch ? [{...(batch as Record<string, NdArray>), ...(batch['point'] as Record<string, NdArray>)}] : [],
    );
  /** Which samples were noised to the rows of a batch, found by the noise that is left when the clip is taken away. */
  const noisesOf = (batch: Record<string, NdArray>, scored: readonly Scored[], sample: number): number[][] => {
    const clean = scored[Math.floor(sample / 8)].trajectories.latents[STEPS].data.subarray(
      2 * (sample % 8),
      2 * (sample % 8) + 2,
    );
    return [...batch['time'].data].map((t, i) => [0, 1].map((j) => (batch['latent'].data[2 * i + j] - (1 - t) * clean[j]) / t));
  };

  it('nothing, unless it is asked to', async () => {
    const {updates} = await learnOnce({}, scoredBatches(value));
    expect(points(updates[0])).to.deep.equal([]);
  });

  it('every clip once in a pass, each at a time of its own, weighed to a mean beside the steps', async () => {
    const scored = scoredBatches(value);
    const {updates, counts} = await learnOnce({...one, innerEpochs: 2, minibatches: 2}, scored);
    expect(counts).to.deep.equal([24, 24, 24, 24]);
    const found = updates.map((batches) => points(batches));
    expect(found.map((batches) => batches.map(({time}) => time.shape[0]))).to.deep.equal([[8], [8], [8], [8]]);
    const times = odeTable(50).map(({time}) => Math.fround(time));
    for (const [batch] of found) {
      expect(new Set(batch['time'].data).size).to.equal(8);
      for (const t of batch['time'].data) expect(times).to.include(t);
      expectClose(batch['weight'].data, new Array<number>(8).fill(3), 1e-6);
    }
    // The noise of a clip is drawn from its number and its pass: what is left of a row without the clip.
    for (const epoch of [0, 1]) {
      const batches = found.slice(2 * epoch, 2 * epoch + 2).map(([batch]) => batch);
      for (const sample of [...Array(16).keys()]) {
        const key = {seed: 1, iteration: 1, purpose: 'grpoDistillationNoise', sample, step: epoch};
        const noise = normals(key, new Float32Array(2));
        const rows = batches.flatMap((batch) => noisesOf(batch, scored, sample));
        expect(
          rows.filter((row) => row.every((x, j) => Math.abs(x - noise[j]) < 1e-3)),
          `sample ${sample}`,
        ).to.have.length(1);
      }
    }
  });

  it('of the best and the worst, where only they are learnt from, in microbatches', async () => {
    const {updates} = await learnOnce({...one, bestOf: 2}, scoredBatches(value), undefined, 5);
    expect(points(updates[0]).map(({time}) => time.shape[0])).to.deep.equal([5, 3]);
    expect(new Set(points(updates[0]).flatMap(({time}) => [...time.data])).size).to.equal(8);
  });

  it('with the gradient of both terms: the policy gradient of the steps, and λ times the mean distance of jumps', async () => {
    const change: Change = {distillationWeight: 3, huberWidth: 0.2, anchorCoefficient: 0, distillationSteps: 6};
    const scored = scoredBatches(value);
    const {updates, counts} = await learnOnce(change, scored);
    const [held, reference] = [0.55, 0.3];
    const scaled =
      (by: number | tf.Tensor): PolicyInGraph['predict'] =>
      (batch) =>
        tf.mul(batch['latent'] as tf.Tensor, by);
    /** The learner's sum over the batches of an update, divided by its steps. */
    const total =
      (given: Change, batches: readonly Params[]) =>
      (theta: tf.Tensor): tf.Scalar => {
        const {loss, scalars} = configured(given);
        const policy = {...policyOf(scaled(theta), scaled(reference)), predictHeld: scaled(held)};
        const inputs = mapTree(scalars, (x: number) => tf.scalar(x));
        const losses = batches.map((batch) => loss(policy, mapTree(batch, toTensor), inputs).loss);
        return tf.div(tf.addN(losses), counts[0]);
      };
    // x̂0 = θ·x; the teacher's step from t to s, and the jump of the policy that is held from there.
    const [point] = points(updates[0]);
    const slow = (theta: number): number => {
      const rows = [...point['time'].data].map((t, i) => {
        const s = odeTable(6).find(({time}) => Math.fround(time) === t)!.nextTime;
        const d = [0, 1].map((j) => {
          const x = point['latent'].data[2 * i + j];
          const z = (s / t) * x + (1 - s / t) * reference * x;
          return theta * x - (s === 0 ? z : held * z);
        });
        return d.reduce((sum, e) => sum + (Math.hypot(e, 0.2) - 0.2) / 2, 0);
      });
      return rows.reduce((sum, row) => sum + row, 0) / rows.length;
    };
    const plain = updates[0].filter((batch) => !('point' in batch));
    expect([plain.length, updates[0].length]).to.deep.equal([1, 2]);
    const [theta, h] = [tf.scalar(0.7), 1e-4];
    expectClose(total(change, updates[0])(theta), [values(total({}, plain)(theta))[0] + 3 * slow(0.7)], 1e-5, 1e-5);
    const [both, steps] = [total(change, updates[0]), total({}, plain)].map((of_) => values(tf.grad(of_)(theta))[0]);
    const jumps = (slow(0.7 + h) - slow(0.7 - h)) / (2 * h);
    expect(Math.abs(3 * jumps)).to.be.above(0.1);
    expectClose([both], [steps + 3 * jumps], 0, 1e-4);
  });

  it('towards the average, if that is the target', () => {
    const asked: string[] = [];
    const says =
      (name: string): PolicyInGraph['predict'] =>
      ({latent}) => {
        asked.push(name);
        return latent as tf.Tensor;
      };
    const {loss, scalars} = configured({distillationWeight: 1, distillationTarget: 'average'});
    const policy = {...policyOf(says('policy'), says('teacher')), predictHeld: says('held'), predictAverage: says('average')};
    const jump = {a: tf.ones([1]), b: tf.zeros([1])};
    const point = {
      latent: tf.ones([1, 2]),
      time: tf.ones([1]),
      scale: tf.ones([1]),
      next: tf.ones([1]),
      end: jump,
      step: jump,
      rest: jump,
    };
    loss(
      policy,
      {text: tf.ones([1, 1, 1]), weight: tf.ones([1]), point},
      mapTree(scalars, (x: number) => tf.scalar(x)),
    );
    expect(asked.sort()).to.deep.equal(['average', 'policy', 'teacher']);
  });
});

/** A policy whose prediction is given, or a multiple of the latent. */
const policyOf = (predict: PolicyInGraph['predict'], reference: PolicyInGraph['predict']): PolicyInGraph => ({
  predict,
  predictReference: reference,
  predictHeld: predict,
  predictAverage: predict,
  predictRecomputed: predict,
  predictOld: predict,
  reward: () => expect.fail('GRPO asks for no gradient of a reward'),
  density: 'gaussian',
});

describe('grpo, its loss', () => {
  interface WanParams {
    sigmas: GoldenTensor;
    step_index: number[];
    clip_range: number;
    beta: number;
    adv_clip_max: number;
  }
  for (const c of cases<WanParams>('losses.json', 'flow_grpo-wan')) {
    it(`is that of ${c.name}, its divergence from the reference and the gradient included`, () => {
      const rows = c.params.step_index.map((i) => wanSde(numbers(c.params.sigmas), {lastStep: 'sde'})[i]);
      const n = rows.length;
      const latent = tensor(c.inputs.sample);
      const of_ = (output: tf.Tensor): tf.Tensor => inputsOf(latent, output, rows).x0;
      const {clip_range: clipRange, beta: klCoefficient, adv_clip_max: limit} = c.params;
      const {loss, scalars} = configured({clipRange, klCoefficient});
      const batch = {
        latent,
        next: tensor(c.inputs.prev_sample),
        a: column(rows, (r) => r.a),
        b: column(rows, (r) => r.b),
        std: column(rows, (r) => r.std),
        oldLogProb: tensor(c.inputs.old_log_prob),
        advantage: tf.clipByValue(tensor(c.inputs.advantages), -limit, limit),
        weight: tf.ones([n]),
      };
      const inputs = Object.fromEntries(Object.entries(scalars).map(([name, x]) => [name, tf.scalar(x)]));
      const total = (output: tf.Tensor): tf.Scalar => {
        const policy = policyOf(
          () => of_(output),
          () => of_(tensor(c.inputs.model_output_ref)),
        );
        return tf.div(loss(policy, batch, inputs).loss, n);
      };
      const output = tensor(c.inputs.model_output);
      expectOutput(c, 'loss', total(output), 3e-7);
      expectOutput(c, 'grad_loss_wrt_model_output', tf.grad(total)(output));
    });
  }

  it('has a divergence whose gradient is not 0: β·b²·(θ − θ_ref)·mean x²/std² a step', () => {
    const klCoefficient = 3;
    const {loss, scalars} = configured({klCoefficient});
    const x = draw('x', 12);
    const [a, b, std, theta, reference] = [0.2, 0.7, 0.3, 0.9, 0.5];
    const latent = tf.tensor2d([...x], [2, 6]);
    const batch = {
      latent,
      next: tf.tensor2d([...draw('next', 12)], [2, 6]),
      ...Object.fromEntries(Object.entries({a, b, std}).map(([name, v]) => [name, tf.fill([2], v)])),
      oldLogProb: tf.zeros([2]),
      // Nothing but the divergence pulls.
      advantage: tf.zeros([2]),
      weight: tf.ones([2]),
    };
    const inputs = {clipRange: tf.scalar(1e-4), klCoefficient: tf.scalar(scalars['klCoefficient'])};
    const total = (t: tf.Tensor): tf.Scalar =>
      loss(
        policyOf(
          () => tf.mul(latent, t),
          () => tf.mul(latent, reference),
        ),
        batch,
        inputs,
      ).loss;
    const square = x.reduce((sum, v) => sum + v * v, 0) / 6;
    const wanted = (klCoefficient * b * b * (theta - reference) * square) / (std * std);
    expect(Math.abs(wanted)).to.be.above(0.1);
    expectClose(tf.grad(total)(tf.scalar(theta)), [wanted], 0, 1e-4);
    // The coefficient that comes with a batch goes before the run's.
    const doubled = loss(
      policyOf(
        () => tf.mul(latent, theta),
        () => tf.mul(latent, reference),
      ),
      {...batch, klCoefficient: tf.scalar(2 * klCoefficient)},
      inputs,
    );
    expectClose(doubled.loss, values(tf.mul(total(tf.scalar(theta)), 2)), 0, 1e-5);
  });
});

describe('grpo, what it refuses', () => {
  const weights = {quality: 0.7, semantic: 1};
  const refused = (change: Change, reward: {weights?: Record<string, number>}): string => {
    try {
      configured(change).checkReward!({name: 'r', ...reward});
    } catch (error) {
      expect(error).to.be.instanceOf(ConfigError);
      return (error as Error).message;
    }
    return '';
  };

  it('combinations of a reward that is not a weighted sum of several', () => {
    for (const combination of ['normalised', 'gdpo', 'separate', 'constrained'] as const) {
      for (const reward of [{}, {weights: {judge: 1}}])
        expect(refused({combination, floors: {judge: 1}}, reward)).to.match(
          /^combination: \w+ wants a reward that is a weighted sum/,
        );
    }
    expect(refused({combination: 'sum'}, {})).to.equal('');
    expect(refused({combination: 'gdpo'}, {weights})).to.equal('');
  });

  it('floors of nothing, of everything, of strangers, and of rewards with a weight', () => {
    const floors = (given: Record<string, number>): string => refused({combination: 'constrained', floors: given}, {weights});
    expect(floors({})).to.match(/^floors: wanted the floor of at least one of quality, semantic/);
    expect(floors({semantics: 1})).to.match(/^floors\.semantics: wanted one of the rewards quality, semantic/);
    expect(floors({quality: 1})).to.match(/^floors\.quality: the weight 0\.7 of "quality" has no effect/);
    expect(refused({combination: 'constrained', floors: {a: 1, b: 1}}, {weights: {a: 1, b: 1}})).to.match(/a floor for each/);
    expect(floors({semantic: 0.5})).to.equal('');
  });

  it('settings that change nothing', () => {
    const wrong: [settings: Record<string, unknown>, key: string][] = [
      [{clipRange: 0.5}, 'clipRange'],
      [{objective: 'dppo'}, 'objective'],
      [{objective: 'dppo', minibatches: 2, clipRange: 0.5}, 'clipRange'],
      [{minibatches: 2, klThreshold: 1}, 'klThreshold'],
      [{klTarget: 1}, 'klTarget'],
      [{advantageScale: 'none', deviation: 'sample'}, 'deviation'],
      [{combination: 'gdpo', advantageScale: 'batch'}, 'advantageScale'],
      [{bestOf: 8}, 'bestOf'],
      [{trimmedShare: 0.1}, 'trimmedShare'],
      [{trimmedShare: 0.25, combination: 'gdpo', reward: 'quality + semantic'}, 'trimmedShare'],
      [{trimmedEnds: 'both'}, 'trimmedEnds'],
      [{floors: {judge: 1}}, 'floors'],
      [{multiplierRate: 1}, 'multiplierRate'],
      [{windowSize: 0, windowMove: 'sliding'}, 'windowMove'],
      [{windowDwell: 3}, 'windowDwell'],
      [{windowTo: 0.3}, 'windowTo'],
      [{distillationSteps: 10}, 'distillationSteps'],
      [{distillationTarget: 'average'}, 'distillationTarget'],
      [{huberWidth: 0.1}, 'huberWidth'],
    ];
    for (const [settings, key] of wrong)
      expect(() => tuneConfig(grpo, settings), key).to.throw(
        ConfigError,
        new RegExp(`${key}(\\.judge)?: has no effect in this run`),
      );
    for (const settings of [
      {floors: {}},
      {objective: 'guard'},
      {objective: 'dppo', minibatches: 2, klThreshold: 1},
      {distillationWeight: 1, huberWidth: 0.1},
    ])
      expect(() => tuneConfig(grpo, settings)).not.to.throw();
  });

  it('a run whose batches do not hold the parts', async () => {
    const error = await rejection(learnOnce({combination: 'gdpo'}, scoredBatches(value)));
    expect(error).to.be.instanceOf(ConfigError);
  });
});
