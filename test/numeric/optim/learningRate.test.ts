import {expect} from 'chai';
import {ConfigError} from '../../../src/errors.js';
import {learningRate, type LearningRateSchedule} from '../../../src/numeric/optim/learningRate.js';
import {cases, expectClose, numbers} from '../../support/golden.js';

interface Params {
  name?: string;
  num_warmup_steps: number;
  num_training_steps: number;
  num_cycles: number | null;
  base_lr: number;
  T_max?: number;
  eta_min?: number;
}

function scheduleOf(p: Params): LearningRateSchedule {
  if (p.T_max !== undefined) return {kind: 'cosine', rate: p.base_lr, steps: p.T_max, final: p.eta_min!};
  const common = {rate: p.base_lr, warmUp: p.num_warmup_steps};
  if (p.name!.startsWith('constant')) return {kind: 'constant', ...common};
  const kind = p.name === 'linear' ? 'linear' : 'cosine';
  return {kind, ...common, steps: p.num_training_steps, cycles: p.num_cycles ?? 1};
}

describe('learningRate', () => {
  for (const c of cases<Params>('optim.json', 'lr')) {
    const schedule = scheduleOf(c.params);
    const steps = 'steps' in schedule ? schedule.steps : Infinity;
    it(`matches ${c.name} up to its last step, and stays there`, () => {
      numbers(c.outputs.lr).forEach((wanted, n) => {
        const after = schedule.kind !== 'constant' && n > steps;
        expectClose([learningRate(schedule, n)], [after ? (schedule.final ?? 0) : wanted], 1e-12, 0, `update ${n}`);
      });
    });
  }

  it('warms up, stays, and descends in a line', () => {
    const schedule = {kind: 'stable', rate: 2, warmUp: 4, steps: 20, stableShare: 0.5, final: 0.5} as const;
    const wanted: [number, number][] = [
      [0, 0],
      [1, 0.5],
      [4, 2],
      [10, 2],
      [15, 1.25],
      [20, 0.5],
      [99, 0.5],
    ];
    for (const [n, rate] of wanted) expectClose([learningRate(schedule, n)], [rate], 1e-15, 0, `update ${n}`);
  });

  it('refuses a warm-up that is as long as the run', () => {
    expect(() => learningRate({kind: 'linear', rate: 1, warmUp: 5, steps: 5}, 0)).to.throw(ConfigError, /exceed the warm-up/);
  });
});
