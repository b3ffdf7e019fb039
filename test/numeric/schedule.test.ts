import {expect} from 'chai';
import {ConfigError} from '../../src/errors.js';
import {alphaBars, flowSigmas, shiftTime, timesteps, zeroTerminalSnr, type BetaSchedule} from '../../src/numeric/schedule.js';
import {cases, expectClose, expectOutput, numbers, type Case} from '../support/golden.js';

interface FlowParams {
  shift: number;
  num_inference_steps: number;
  mu: number | null;
}
interface AlphaParams {
  beta_schedule: string;
  num_train_timesteps: number;
  beta_start: number;
  beta_end: number;
}
interface TimestepParams {
  timestep_spacing: 'leading' | 'linspace' | 'trailing';
  num_inference_steps: number;
  steps_offset: number;
  num_train_timesteps: number;
}

describe('flowSigmas', () => {
  for (const c of cases<FlowParams>('schedulers.json', 'flow-euler')) {
    it(`matches ${c.name} of diffusers`, () => {
      const sigmas = flowSigmas(c.params.num_inference_steps, {shift: c.params.shift, table: 'diffusers'});
      expectOutput(c, 'sigmas', sigmas);
      const calledAt = sigmas.slice(0, -1).map((s) => s * 1000);
      expectOutput(c, 'timesteps', calledAt);
    });
  }

  it('is the evenly spaced times, shifted once, unless asked otherwise', () => {
    const wanted = [1, 0.9642857, 0.923077, 0.8749999, 0.8181818, 0.75, 0.6666667, 0.5625, 0.4285715, 0.25, 0];
    expectClose(flowSigmas(10, {shift: 3}), wanted, 2e-7);
    expectClose(flowSigmas(4), [1, 0.75, 0.5, 0.25, 0], 1e-15);
    expect(flowSigmas(1, {shift: 5})).to.deep.equal([1, 0]);
    expect(flowSigmas(1, {table: 'diffusers'})).to.deep.equal([1, 0]);
  });

  it('refuses impossible steps and shifts', () => {
    for (const steps of [0, -1, 2.5, NaN]) expect(() => flowSigmas(steps)).to.throw(ConfigError, /steps/);
    expect(() => flowSigmas(4, {shift: 0})).to.throw(ConfigError, /shift/);
  });
});

describe('shiftTime', () => {
  for (const c of cases<FlowParams>('schedulers.json', 'flow-euler-explicit', 'flow-euler-dynamic')) {
    it(`matches ${c.name} of diffusers`, () => {
      const shift = c.params.mu === null ? c.params.shift : Math.exp(c.params.mu);
      expectOutput(c, 'sigmas', [...numbers(c.inputs.sigmas).map((t) => shiftTime(t, shift)), 0]);
    });
  }

  it('composes: shifting by s and then by r is shifting by s·r', () => {
    for (const t of [0, 0.1, 0.5, 0.9, 1]) expectClose([shiftTime(shiftTime(t, 3), 1.7)], [shiftTime(t, 5.1)], 1e-15);
  });
});

/** The schedule of a case. */
function scheduleOf(p: AlphaParams): BetaSchedule {
  if (p.beta_schedule === 'squaredcos_cap_v2') return {kind: 'cosine'};
  return {kind: p.beta_schedule === 'linear' ? 'linear' : 'scaledLinear', betaStart: p.beta_start, betaEnd: p.beta_end};
}

describe('alphaBars', () => {
  const at = (c: Case<AlphaParams>, table: number[]): number[] => numbers(c.outputs.index).map((i) => table[i]);

  for (const c of cases<AlphaParams>('schedulers.json', 'alphas')) {
    const rescaled = c.name.includes('zero-snr');
    it(`matches ${c.name} of diffusers`, () => {
      const alphas = alphaBars(scheduleOf(c.params), c.params.num_train_timesteps);
      expectOutput(c, 'alphas_cumprod', at(c, rescaled ? zeroTerminalSnr(alphas) : alphas));
      if (rescaled) return;
      const betas = alphas.map((alpha, i) => 1 - alpha / (i === 0 ? 1 : alphas[i - 1]));
      expectOutput(c, 'betas', at(c, betas));
    });
  }

  it('falls to exactly 0 with zero terminal SNR and keeps its first level', () => {
    const alphas = alphaBars({kind: 'scaledLinear', betaStart: 0.00085, betaEnd: 0.012});
    const rescaled = zeroTerminalSnr(alphas);
    expect(rescaled[999]).to.equal(0);
    expectClose([rescaled[0]], [alphas[0]], 1e-15);
  });
});

describe('timesteps', () => {
  for (const c of cases<TimestepParams>('schedulers.json', 'timesteps')) {
    it(`matches ${c.name} of diffusers`, () => {
      const p = c.params;
      const options = {trainSteps: p.num_train_timesteps, offset: p.steps_offset};
      expectOutput(c, 'timesteps', timesteps(p.timestep_spacing, p.num_inference_steps, options));
    });
  }

  it('refuses more steps than training had', () => {
    expect(() => timesteps('leading', 11, {trainSteps: 10})).to.throw(ConfigError, /at most the 10/);
  });
});
