/** What DPO hands to its learner, and what it and the schedules refuse. */
import {expect} from 'chai';
import {lastValueFrom, of} from 'rxjs';
import {dpo} from '../../algorithms/dpo.js';
import {sft} from '../../algorithms/sft.js';
import {ddpo} from '../../algorithms/ddpo.js';
import type {Learner, Scored, TrainState} from '../../src/algorithm.js';
import {ConfigError} from '../../src/errors.js';
import {samplerTables} from '../../src/numeric/samplers/named.js';
import {float32, type NdArray} from '../../src/tensor/ndarray.js';
import type {Params} from '../../src/tensor/tree.js';
import {tuneConfig} from '../../src/tune/schema.js';

const {deterministic: table} = samplerTables('flowSde', 2, 0.7);

/** Two prompts with four samples each, in two batches; the clean latent of sample i is i. */
const scoredBatches = (rewardOf: (i: number) => number): Scored[] =>
  [0, 1].map((batch) => {
    const rows = [0, 1, 2, 3].map((row) => 4 * batch + row);
    return {
      trajectories: {
        prompts: rows.map(() => ({id: `p${batch}`, text: ''})),
        latents: [float32(new Float32Array(4), [4, 1]), float32(new Float32Array(4), [4, 1]), float32(rows, [4, 1])],
        logProbs: table.map(() => new Float32Array(4)),
        text: float32([batch], [1, 1, 1]),
        textRow: rows.map(() => 0),
        table,
        videos: float32(rows, [4, 1, 1, 1, 1]),
      },
      rewards: Float32Array.from(rows, rewardOf),
    };
  });

async function learnOnce(
  change: Readonly<Record<string, unknown>>,
  rewardOf: (i: number) => number,
): Promise<{updates: Params[][]; counts: number[]; state: TrainState}> {
  const updates: Params[][] = [];
  const counts: number[] = [];
  const learner: Learner = {
    microbatch: 4,
    evaluate: async () => ({}),
    update: async (batches, transitions) => {
      updates.push([...batches]);
      counts.push(transitions);
      return {metrics: {loss: 1}, gradientNorm: 2};
    },
    moveOld: () => Promise.reject(new Error('DPO moves no old policy')),
  };
  const algorithm = dpo.configure(dpo.options.parse(change));
  const state = await lastValueFrom(
    algorithm.learn(of(...scoredBatches(rewardOf)), {iteration: 0, memory: null, metrics: {}}, {learner, seed: 1}),
  );
  return {updates, counts, state};
}

const column = (batch: Params, name: string): number[] => Array.from((batch[name] as NdArray).data);
const pairsIn = (batches: readonly Params[]): string[] =>
  batches.flatMap((batch) => {
    const loser = column(batch, 'loser');
    return column(batch, 'winner').map((w, i) => `${w}>${loser[i]}`);
  });

describe('dpo', () => {
  it('gives its learner noised pairs of finished clips, two to a microbatch of four, each draw with its own noise and time', async () => {
    const {updates, counts, state} = await learnOnce({drawsPerPair: 2}, (i) => [0.1, 0.4, 0.4, 0.9, 3, 2, 1, 0][i]);
    expect(counts).to.deep.equal([6]);
    expect(updates[0].map((batch) => column(batch, 'winner').length)).to.deep.equal([2, 2, 2]);
    // 1 and 2 have the same reward.
    expect(pairsIn(updates[0]).sort()).to.deep.equal(['3>0', '3>0', '4>7', '4>7', '5>6', '5>6']);
    for (const name of ['noise', 'time']) expect(new Set(updates[0].flatMap((batch) => column(batch, name))).size).to.equal(6);
    for (const batch of updates[0])
      expect(column(batch, 'text')).to.deep.equal(column(batch, 'winner').map((w) => (w < 4 ? 0 : 1)));
    expect(state.metrics).to.deep.equal({
      'policy/loss': 1,
      'policy/gradientNorm': 2,
      'policy/pairs': 3,
      'policy/pairlessPrompts': 0,
    });
  });

  it('goes through all pairs in every pass, in as many updates as there are minibatches, with other noise in each', async () => {
    const options = {pairs: 'all', innerEpochs: 2, minibatches: 3, drawsPerPair: 1};
    const {updates, counts} = await learnOnce(options, (i) => i);
    expect(counts).to.deep.equal([4, 4, 4, 4, 4, 4]);
    const passes = [updates.slice(0, 3).flat(), updates.slice(3).flat()];
    for (const pass of passes) expect(new Set(pairsIn(pass)).size).to.equal(12);
    const noises = updates.flat().flatMap((batch) => column(batch, 'noise'));
    expect(new Set(noises).size).to.equal(24);
  });

  it('counts prompts without a pair', async () => {
    const {counts, state} = await learnOnce({pairs: 'extremes', drawsPerPair: 1}, (i) => (i < 4 ? 1 : i));
    expect(counts).to.deep.equal([1]);
    expect(state.metrics).to.include({'policy/pairs': 1, 'policy/pairlessPrompts': 1});
  });

  it('announces the predictions that it makes', () => {
    const of = (change: Readonly<Record<string, unknown>>, samples: number): number =>
      (dpo.configure(dpo.options.parse({drawsPerPair: 2, ...change})).work.predictions as (n: number) => number)(samples) *
      samples;
    expect(of({}, 8)).to.equal(4 * 2 * 2);
    expect(of({}, 5)).to.be.closeTo(2 * 2 * 2, 1e-12);
    expect(of({pairs: 'extremes'}, 8)).to.equal(2 * 2);
    expect(of({pairs: 'all', innerEpochs: 3}, 4)).to.equal(6 * 2 * 2 * 3);
  });
});

describe('settings of dpo, sft and schedules', () => {
  const refused = (settings: () => unknown, ...words: string[]): void => {
    for (const word of words) expect(settings).to.throw(ConfigError, word);
  };

  it('refuses what has no effect', () => {
    refused(() => tuneConfig(dpo, {noiseLevel: 0.5}), 'noiseLevel: has no effect');
    refused(() => tuneConfig(dpo, {sampler: 'cps'}), 'sampler: has no effect');
    for (const key of ['promptsPerIteration', 'samplesPerPrompt', 'samplingSteps'])
      refused(() => tuneConfig(sft, {[key]: 3}), `${key}: has no effect`, 'clipsPerIteration');
    refused(() => tuneConfig(ddpo, {finalRate: 0.5}), 'finalRate: has no effect', 'schedule is constant');
    refused(() => tuneConfig(ddpo, {scheduleUpdates: 50}), 'scheduleUpdates: has no effect');
  });

  it('refuses a falling schedule without an end, or with one inside the warm-up', () => {
    refused(
      () => tuneConfig(ddpo, {schedule: 'cosine', minutes: 2}),
      'scheduleUpdates',
      'over which schedule cosine falls; got 0',
    );
    refused(() => tuneConfig(dpo, {schedule: 'linear', scheduleUpdates: 20, warmup: 20}), 'scheduleUpdates', 'got 20');
    expect(tuneConfig(dpo, {schedule: 'linear', scheduleUpdates: 21, warmup: 20})).to.include({scheduleUpdates: 21});
  });
});
