import {expect} from 'chai';
import fc from 'fast-check';
import {groupAdvantages} from '../../src/numeric/advantages.js';
import {
  bestAndWorst,
  gdpoAdvantages,
  groupSpread,
  summedRewards,
  weightedAdvantages,
  type WeightedReward,
} from '../../src/numeric/severalRewards.js';
import {cases, expectClose, expectOutput, numbers, type Case, type GoldenTensor} from '../support/golden.js';

/** Rewards of a case with their weights. */
const severalOf = (c: Case<{weights: Record<string, number>}>): WeightedReward[] =>
  Object.entries(c.inputs.rewards as unknown as Record<string, GoldenTensor>).map(([name, rewards]) => ({
    rewards: numbers(rewards),
    weight: c.params.weights[name],
  }));
const consecutive = (n: number, size: number): number[] => Array.from({length: n}, (_, i) => Math.floor(i / size));

describe('weightedAdvantages', () => {
  interface MixParams {
    mode: string;
    num_generations: number;
    trimmed_ratio: number;
    weights: Record<string, number>;
  }
  for (const c of cases<MixParams>('advantages.json', 'mixgrpo').filter(({params: p}) => p.mode === 'advantage_aggr')) {
    it(`matches ${c.name}`, () => {
      const several = severalOf(c);
      const groups = consecutive(several[0].rewards.length, c.params.num_generations);
      expectOutput(
        c,
        'advantages',
        weightedAdvantages(several, groups, {
          deviation: 'sample',
          epsilon: 1e-8,
          trim: {share: c.params.trimmed_ratio, ends: 'lowest'},
        }),
      );
    });
  }

  for (const c of cases<MixParams>('advantages.json', 'mixgrpo').filter(({params: p}) => p.mode === 'reward_aggr')) {
    it(`of one reward, the sum, matches ${c.name}`, () => {
      const rewards = numbers((c.inputs.rewards as unknown as Record<string, GoldenTensor>)['sum']);
      const groups = consecutive(rewards.length, c.params.num_generations);
      const trim = {share: c.params.trimmed_ratio, ends: 'lowest'} as const;
      expectOutput(c, 'advantages', groupAdvantages(rewards, groups, {deviation: 'sample', epsilon: 1e-8, trim}));
    });
  }

  it('does not see the unit of a reward', () => {
    const several = [
      {rewards: [1, 2, 4, 3], weight: 0.5},
      {rewards: [0.1, 0, 0.3, 0.1], weight: 2},
    ];
    const scaled = [several[0], {rewards: several[1].rewards.map((r) => 1000 * r + 7), weight: 2}];
    const groups = ['a', 'a', 'b', 'b'];
    expectClose(weightedAdvantages(scaled, groups, {epsilon: 0}), weightedAdvantages(several, groups, {epsilon: 0}), 1e-9);
  });
});

describe('peers that sum or normalise twice', () => {
  interface FactoryParams {
    mode: string;
    weights: Record<string, number>;
    global_std: boolean;
  }
  for (const c of cases<FactoryParams>('advantages.json', 'flow-factory')) {
    it(`matches ${c.name}, whose floor under the deviation never acts`, () => {
      const several = severalOf(c);
      const groups = numbers(c.inputs.group);
      const scale = c.params.global_std ? 'batch' : 'group';
      expectOutput(
        c,
        'advantages',
        c.params.mode === 'sum'
          ? groupAdvantages(summedRewards(several), groups, {scale, epsilon: 0})
          : gdpoAdvantages(several, groups, {epsilon: 0}),
      );
    });
  }

  it('gdpo has mean 0 and deviation 1 over the batch, and what is told by no reward is 0', () => {
    const groups = ['a', 'a', 'a', 'b', 'b', 'b'];
    const several = [
      {rewards: [1, 2, 6, 3, 3, 3], weight: 1},
      {rewards: [5, 5, 5, 0, 2, 1], weight: 3},
    ];
    const advantages = gdpoAdvantages(several, groups, {epsilon: 0});
    const squares = advantages.reduce((sum, a) => sum + a * a, 0) / 6;
    expectClose([advantages.reduce((sum, a) => sum + a, 0), squares], [0, 1], 1e-12);
    expect([...gdpoAdvantages([{rewards: [1, 1, 1], weight: 1}], ['a', 'a', 'a'])]).to.deep.equal([0, 0, 0]);
  });
});

describe('bestAndWorst', () => {
  interface DanceParams {
    bestofn: number;
    vq_coef: number;
    mq_coef: number;
    num_generations: number;
  }
  for (const c of cases<DanceParams>('advantages.json', 'dance-group')) {
    it(`keeps what ${c.name} keeps`, () => {
      const {bestofn, vq_coef: vq, mq_coef: mq, num_generations: size} = c.params;
      const [v, m] = ['vq_rewards', 'mq_rewards'].map((name) => numbers(c.inputs[name]));
      const several = [
        {rewards: v, weight: vq},
        {rewards: m, weight: mq},
      ];
      const total = weightedAdvantages(several, consecutive(v.length, size), {deviation: 'sample', epsilon: 1e-8});
      const theirs = [c.outputs['selected_top'], c.outputs['selected_bottom']] as unknown as number[][];
      expect(bestAndWorst(total, bestofn)).to.deep.equal(theirs.flat().sort((i, j) => i - j));
    });
  }

  it('keeps so many, none of them nearer to the middle than one that is left out', () => {
    fc.assert(
      fc.property(fc.array(fc.double({min: -9, max: 9, noNaN: true}), {maxLength: 20}), fc.integer({min: 1, max: 20}), (x, n) => {
        const kept = bestAndWorst(x, n);
        expect(kept).to.have.length(Math.min(n, x.length));
        const left = x.filter((_, i) => !kept.includes(i));
        const better = kept.filter((i) => left.every((v) => x[i] >= v)).length;
        const worse = kept.filter((i) => left.every((v) => x[i] <= v)).length;
        expect(better).to.be.at.least(Math.min(Math.ceil(n / 2), x.length));
        expect(worse).to.be.at.least(Math.min(Math.floor(n / 2), x.length));
      }),
      {numRuns: 300, seed: 2},
    );
  });
});

describe('groupSpread', () => {
  for (const c of cases('advantages.json', 'zero-std-ratio')) {
    it(`matches ${c.name}`, () => {
      const {equal, meanStd} = groupSpread(numbers(c.inputs.rewards), c.inputs.prompts as unknown as string[]);
      expectOutput(c, 'zero_std_ratio', [equal]);
      expectOutput(c, 'mean_std', [meanStd]);
    });
  }
});
