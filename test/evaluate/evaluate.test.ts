import {expect} from 'chai';
import type {Judge, Prompt} from '../../src/environment.js';
import {ContractError, NonFiniteError} from '../../src/errors.js';
import {compare, evaluateSuite, type SuiteScores} from '../../src/evaluate/evaluate.js';
import {odeTable} from '../../src/numeric/samplers/named.js';
import type {Reward} from '../../src/reward.js';
import type {GenerateRequest, Generator, Trajectories} from '../../src/rollout/generate.js';
import {float32} from '../../src/tensor/ndarray.js';
import {rejection} from '../support/files.js';

const prompts: Prompt[] = Array.from({length: 70}, (_, i) => ({id: `p${i}`, text: `prompt ${i}`}));
const suite = {name: 'heldOut/70', prompts, steps: 4, seed: 7};
const numberOf = ({id}: Prompt): number => Number(id.slice(1));

/** A generator whose videos tell their prompt; notes what it is asked for. */
function fakeGenerator(): {generate: Generator; asked: GenerateRequest[]} {
  const asked: GenerateRequest[] = [];
  const generate = async (_: unknown, request: GenerateRequest): Promise<Trajectories> => {
    asked.push(request);
    return {videos: float32(request.prompts.map(numberOf), [request.prompts.length, 1, 1, 1, 1])} as Trajectories;
  };
  return {generate, asked};
}
const reward = (score: (level: number) => number): Reward => ({
  name: 'fake',
  unit: '1',
  score: async ({data}) => data.map(score),
});
const judge: Judge = {
  dimensions: ['quality', 'semantic', 'strict', 'total'],
  judge: async ({data}) => Array.from(data, (x) => ({quality: x / 100, semantic: 0.5, strict: x % 2, total: x / 200})),
  aggregate: (list) => {
    const mean = (key: string): number => list.reduce((sum, j) => sum + (j[key] ?? 0), 0) / list.length;
    return {quality: mean('quality'), semantic: mean('semantic'), strict: mean('strict'), total: mean('total')};
  },
  close: async () => undefined,
};

describe('evaluateSuite', () => {
  it('generates every prompt once, without noise in the steps, with noise of its own that is always the same', async () => {
    const {generate, asked} = fakeGenerator();
    const {videos, rewards, judgements} = await evaluateSuite(generate, {}, suite, {reward: reward((x) => 2 * x), judge});
    expect(asked.flatMap((r) => r.prompts)).to.deep.equal(prompts);
    for (const {prompts: part, ...request} of asked) {
      expect(part.length).to.be.within(1, 32);
      expect(request).to.deep.equal({
        samples: 1,
        table: odeTable(4),
        seed: 7,
        iteration: 0,
        purpose: 'evaluation',
        sharedStart: false,
      });
    }
    expect([...videos.data]).to.deep.equal(prompts.map(numberOf));
    expect([...rewards]).to.deep.equal(prompts.map((p) => 2 * numberOf(p)));
    expect(judgements!.map((j) => j['quality'])).to.deep.equal(prompts.map((p) => numberOf(p) / 100));
  });

  it('does without a judge', async () => {
    expect(
      (await evaluateSuite(fakeGenerator().generate, {}, suite, {reward: reward(Number), judge: undefined})).judgements,
    ).to.equal(undefined);
  });

  it('names the prompt of a reward that is not finite, and a reward that leaves scores out', async () => {
    const bad = await rejection(
      evaluateSuite(fakeGenerator().generate, {}, suite, {reward: reward((x) => (x === 40 ? NaN : x)), judge: undefined}),
    );
    expect(bad).to.be.instanceOf(NonFiniteError);
    expect(bad.message).to.include('reward "fake" is NaN for prompt "prompt 40"');
    const short: Reward = {name: 'short', unit: '1', score: async () => new Float32Array(3)};
    const missing = await rejection(evaluateSuite(fakeGenerator().generate, {}, suite, {reward: short, judge: undefined}));
    expect(missing).to.be.instanceOf(ContractError);
    expect(missing.message).to.include('reward "short": wanted 32 scores, one a video; got 3');
  });
});

describe('evaluateSuite of a composed reward', () => {
  const composed: Reward = {
    ...reward(Number),
    scoreParts: async ({data}) => ({scores: data.slice(), parts: {twice: data.map((x) => 2 * x), minus: data.map((x) => -x)}}),
  };

  it('keeps the scores of each part, prompt by prompt over all batches', async () => {
    const {rewards, parts, relative} = await evaluateSuite(fakeGenerator().generate, {}, suite, {
      reward: composed,
      judge: undefined,
    });
    expect([...rewards]).to.deep.equal(prompts.map(numberOf));
    expect([...parts!['twice']]).to.deep.equal(prompts.map((p) => 2 * numberOf(p)));
    expect([...parts!['minus']]).to.deep.equal(prompts.map((p) => -numberOf(p)));
    expect(relative).to.equal(false);
  });

  it('measures independently of the reward, part by part, and compares that too', async () => {
    const measures = {reward: reward((x) => -x), independent: composed, judge: undefined};
    const before = await evaluateSuite(fakeGenerator().generate, {}, suite, measures);
    expect([...before.rewards]).to.deep.equal(prompts.map((p) => -numberOf(p)));
    expect([...before.independent!['twice']]).to.deep.equal(prompts.map((p) => 2 * numberOf(p)));
    const after = {...before, independent: {...before.independent, twice: before.independent!['twice'].map((x) => x + 3)}};
    const found = compare(before, after, undefined, 1);
    expect(found.map((c) => c.metric)).to.deep.equal(['reward/mean', 'independent/twice', 'independent/minus']);
    expect(found[1]).to.deep.include({before: 69, after: 72, difference: {mean: 3, low: 3, high: 3}});
    expect(found[2].difference.mean).to.equal(0);
  });

  it('compares the parts too, and of a reward that is relative the parts alone', async () => {
    for (const relative of [false, true]) {
      const before = await evaluateSuite(fakeGenerator().generate, {}, suite, {reward: {...composed, relative}, judge});
      const after = {
        ...before,
        rewards: before.rewards.map((x) => x + 1),
        parts: {...before.parts, minus: before.parts!['twice']},
      };
      const found = compare(before, after, judge, 1);
      expect(found.map((c) => c.metric)).to.deep.equal([
        ...(relative ? [] : ['reward/mean']),
        'reward/twice',
        'reward/minus',
        'judge/total',
        'judge/quality',
        'judge/semantic',
        'judge/strict',
      ]);
      expect(found.find((c) => c.metric === 'reward/twice')!.difference.mean).to.equal(0);
      expect(found.find((c) => c.metric === 'reward/minus')).to.include({before: -34.5, after: 69});
    }
  });
});

describe('compare', () => {
  const scores = (of: (i: number) => number): SuiteScores => ({
    videos: float32([]),
    rewards: Float32Array.from(prompts, (_, i) => of(i)),
    judgements: prompts.map((_, i) => ({quality: of(i) / 100, semantic: 0.5, strict: i % 2, total: of(i) / 200})),
  });
  const before = scores((i) => i);
  const after = scores((i) => i + 1 + (i % 2));

  it('pairs prompts: a gain of 1 or 2 each is 1.5, within .12, whatever the prompts are worth', () => {
    const [{metric, before: was, after: is, difference}] = compare(before, after, undefined, 1);
    expect(metric).to.equal('reward/mean');
    expect(was).to.equal(34.5);
    expect(is).to.equal(36);
    expect(difference.mean).to.be.closeTo(1.5, 1e-9);
    // 1.96 · .5/√70 = .117
    expect(difference.low).to.be.closeTo(1.5 - 0.117, 0.03);
    expect(difference.high).to.be.closeTo(1.5 + 0.117, 0.03);
  });

  it('tells what the judge says of the same videos', () => {
    const found = compare(before, after, judge, 1);
    expect(found.map((c) => c.metric)).to.deep.equal([
      'reward/mean',
      'judge/total',
      'judge/quality',
      'judge/semantic',
      'judge/strict',
    ]);
    expect(found[2].difference.mean).to.be.closeTo(0.015, 1e-9);
    expect(found[3].difference).to.deep.equal({mean: 0, low: 0, high: 0});
  });
});
