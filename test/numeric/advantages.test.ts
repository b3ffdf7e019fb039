import {expect} from 'chai';
import fc from 'fast-check';
import {ConfigError, ShapeError} from '../../src/errors.js';
import {
  batchAdvantages,
  clampAdvantages,
  groupAdvantages,
  promptTracker,
  statistics,
  trackAdvantages,
  type GroupAdvantageOptions,
} from '../../src/numeric/advantages.js';
import {cases, expectClose, expectOutput, numbers, type Case, type GoldenTensor} from '../support/golden.js';

/** Inputs of the trackers: several calls, each with prompts and rewards. */
interface Calls {
  calls: {prompts: string[]; rewards: GoldenTensor}[];
}
const callsOf = (c: Case<unknown>): Calls['calls'] => (c.inputs as unknown as Calls).calls;
const promptsOf = (c: Case<unknown>): string[] => c.inputs.prompts as unknown as string[];
/** Groups of consecutive samples. */
const consecutive = (n: number, size: number): number[] => Array.from({length: n}, (_, i) => Math.floor(i / size));

describe('trackAdvantages', () => {
  interface Params {
    buffer_size: number;
    min_count: number;
  }
  for (const c of cases<Params>('advantages.json', 'ddpo-tracker').filter((v) => !v.name.includes('integer'))) {
    it(`matches ${c.name} call by call`, () => {
      let tracker = promptTracker(c.params.buffer_size, c.params.min_count);
      callsOf(c).forEach(({prompts, rewards}, i) => {
        // A checkpoint between the calls changes nothing.
        tracker = JSON.parse(JSON.stringify(tracker)) as typeof tracker;
        const result = trackAdvantages(tracker, prompts, numbers(rewards));
        expectOutput(c, `advantages_${i}`, result.advantages);
        tracker = result.tracker;
      });
      const stats = c.outputs.stats as unknown as Record<string, {mean: number; std: number; count: number}>;
      expect(Object.keys(tracker.rewards).sort()).to.deep.equal(Object.keys(stats).sort());
      for (const [prompt, wanted] of Object.entries(stats)) {
        const {mean, std} = statistics(tracker.rewards[prompt]);
        expectClose([mean, std, tracker.rewards[prompt].length], [wanted.mean, wanted.std, wanted.count], 1e-6, 0, prompt);
      }
    });
  }

  for (const c of cases<Params>('advantages.json', 'ddpo-tracker').filter((v) => v.name.includes('integer'))) {
    it(`keeps the fractions that ${c.name} truncates`, () => {
      const [{prompts, rewards}] = callsOf(c);
      const {advantages} = trackAdvantages(promptTracker(c.params.buffer_size, c.params.min_count), prompts, numbers(rewards));
      expectClose([...advantages].map(Math.trunc), numbers(c.outputs.advantages_0), 0);
      expect([...advantages].some((a) => !Number.isInteger(a))).to.equal(true);
    });
  }

  it('gives the published numbers of one call', () => {
    // reference/algorithms.md §2.14, from running ddpo-pytorch.
    const {advantages} = trackAdvantages(promptTracker(32, 3), ['a', 'b', 'a', 'b'], [1, 2, 3, 6]);
    expectClose(advantages, [-1.0690444, -0.5345222, 0, 1.6035666], 1e-6);
  });

  it('does not change the tracker it is given, and takes any word for a prompt', () => {
    const before = promptTracker(2, 1);
    const {tracker} = trackAdvantages(before, ['__proto__', 'constructor', '__proto__', '__proto__'], [1, 2, 3, 4]);
    expect(before.rewards).to.deep.equal({});
    expect(Object.entries(tracker.rewards)).to.deep.equal([
      ['__proto__', [3, 4]],
      ['constructor', [2]],
    ]);
    const again = trackAdvantages(JSON.parse(JSON.stringify(tracker)) as typeof tracker, ['__proto__'], [5]);
    expect(new Map(Object.entries(again.tracker.rewards)).get('__proto__')).to.deep.equal([4, 5]);
  });

  it('gives exactly 0 where all rewards are equal', () => {
    const {advantages} = trackAdvantages(promptTracker(8, 1), ['a', 'a', 'a', 'b'], [0.7, 0.7, 0.7, 0.1]);
    expect([...advantages]).to.deep.equal([0, 0, 0, 0]);
  });

  it('refuses buffers that cannot reach their count, and rewards without prompts', () => {
    for (const [size, count] of [
      [2, 3],
      [0, 0],
      [4, 0],
      [2.5, 1],
    ])
      expect(() => promptTracker(size, count)).to.throw(ConfigError);
    expect(() => trackAdvantages(promptTracker(2, 1), ['a'], [1, 2])).to.throw(ShapeError, /2 rewards and 1 prompts/);
  });
});

describe('batchAdvantages', () => {
  for (const c of cases('advantages.json', 'ddpo-no-tracking')) {
    it(`matches ${c.name}`, () => expectOutput(c, 'advantages', batchAdvantages(numbers(c.inputs.rewards))));
  }

  it('gives nothing for nothing', () => {
    expect([...batchAdvantages([])]).to.deep.equal([]);
  });
});

describe('groupAdvantages', () => {
  interface TrackerParams {
    global_std: boolean;
    type: string;
  }
  for (const c of cases<TrackerParams>('advantages.json', 'flow_grpo-tracker').filter((v) => v.params.type === 'grpo')) {
    const options = {scale: c.params.global_std ? 'batch' : 'group'} as const;
    if (c.name.includes('second-call')) {
      it(`has no memory, so that ${c.name}, an error there, repeats the first answer`, () => {
        const [first, second] = callsOf(c).map(({prompts, rewards}) =>
          groupAdvantages(rewards as unknown as number[], prompts, options),
        );
        expect(second).to.deep.equal(first);
        expectClose(first, [-0.9999, -1.4999 / 1.5, 0.9999, 1.4999 / 1.5], 1e-4);
      });
      continue;
    }
    it(`matches ${c.name}, column by column`, () => {
      callsOf(c).forEach(({prompts, rewards}, i) => {
        const columns = rewards.shape[1] ?? 1;
        const out: number[] = [];
        for (let k = 0; k < columns; k++) {
          const column = numbers(rewards).filter((_, j) => j % columns === k);
          groupAdvantages(column, prompts, options).forEach((a, j) => (out[j * columns + k] = a));
        }
        expectOutput(c, `advantages_${i}`, out);
      });
    });
  }

  for (const c of cases<{use_global_std: boolean; max_group_std: boolean}>('advantages.json', 'genrl-tracker')) {
    it(`matches ${c.name}`, () => {
      const scale = c.params.max_group_std ? 'largestGroup' : c.params.use_global_std ? 'batch' : 'group';
      expectOutput(c, 'advantages', groupAdvantages(numbers(c.inputs.rewards), promptsOf(c), {scale}));
    });
  }

  for (const c of cases<{num_generations: number}>('advantages.json', 'dance-group')) {
    it(`matches ${c.name}`, () => {
      for (const name of ['vq', 'mq']) {
        const rewards = numbers(c.inputs[`${name}_rewards`]);
        const groups = consecutive(rewards.length, c.params.num_generations);
        expectOutput(c, `${name}_advantages`, groupAdvantages(rewards, groups, {deviation: 'sample', epsilon: 1e-8}));
      }
    });
  }

  for (const c of cases<{num_generations: number; eps: number}>('advantages.json', 'pisces-group')) {
    it(`matches ${c.name}`, () => {
      const rewards = numbers(c.inputs.rewards);
      const groups = consecutive(rewards.length, c.params.num_generations);
      expectOutput(c, 'advantages', groupAdvantages(rewards, groups, {deviation: 'sample', epsilon: c.params.eps}));
    });
  }

  interface UnirlParams {
    groups: number[][];
    trim_outliers_ratio: number;
    use_global_std: boolean;
    clip_max: number | null;
    epsilon: number;
  }
  for (const c of cases<UnirlParams>('advantages.json', 'unirl')) {
    it(`matches ${c.name}`, () => {
      const rewards = numbers(c.inputs.rewards);
      const groups = rewards.map((_, i) => c.params.groups.findIndex((g) => g.includes(i)));
      const scale = c.params.use_global_std ? 'batch' : 'group';
      const trim = {share: c.params.trim_outliers_ratio, ends: 'both'} as const;
      const advantages = groupAdvantages(rewards, groups, {scale, deviation: 'sample', epsilon: c.params.epsilon, trim});
      expectOutput(c, 'advantages', clampAdvantages(advantages, c.params.clip_max ?? Infinity));
    });
  }

  interface VerlParams {
    global_std: boolean;
    norm_adv_by_std: boolean;
    epsilon: number;
  }
  for (const c of cases<VerlParams>('advantages.json', 'verl-omni')) {
    it(`matches ${c.name}`, () => {
      const scale = !c.params.norm_adv_by_std ? 'none' : c.params.global_std ? 'batch' : 'group';
      const options: GroupAdvantageOptions = {scale, deviation: 'sample', epsilon: c.params.epsilon};
      expectOutput(c, 'advantages', groupAdvantages(numbers(c.inputs.rewards), numbers(c.inputs.group), options));
    });
  }

  for (const c of cases<{num_generations: number; eps: number}>('advantages.json', 'edge')) {
    it(`gives exactly 0 for ${c.name}`, () => {
      const rewards = c.name.includes('flow_grpo') ? (c.inputs.rewards as unknown as number[]) : numbers(c.inputs.rewards);
      const groups = consecutive(rewards.length, c.params.num_generations ?? rewards.length);
      const advantages = groupAdvantages(rewards, groups, {deviation: 'sample', epsilon: c.params.eps ?? 1e-8});
      expect([...advantages]).to.deep.equal(rewards.map(() => 0));
    });
  }

  it('sums to 0 in each group, does not see shifts, and follows its samples when they are permuted', () => {
    const batch = fc.array(fc.tuple(fc.double({min: -100, max: 100, noNaN: true}), fc.integer({min: 0, max: 3})), {
      minLength: 1,
      maxLength: 30,
    });
    fc.assert(
      fc.property(batch, fc.constantFrom('group', 'batch', 'largestGroup', 'none'), (samples, scale) => {
        const rewards = samples.map(([r]) => r);
        const groups = samples.map(([, g]) => g);
        const advantages = groupAdvantages(rewards, groups, {scale});
        for (const g of new Set(groups)) {
          expect(advantages.reduce((sum, a, i) => sum + (groups[i] === g ? a : 0), 0)).to.be.closeTo(0, 1e-6);
        }
        expectClose(
          groupAdvantages(
            rewards.map((r) => r + 8),
            groups,
            {scale},
          ),
          advantages,
          1e-6,
          1e-6,
        );
        expectClose(groupAdvantages([...rewards].reverse(), [...groups].reverse(), {scale}).reverse(), advantages, 1e-9, 1e-9);
      }),
      {numRuns: 200, seed: 1},
    );
  });
});

describe('clampAdvantages', () => {
  it('limits both sides', () => {
    expect([...clampAdvantages(Float64Array.of(-7, -5, 0.5, 9), 5)]).to.deep.equal([-5, -5, 0.5, 5]);
  });
});
