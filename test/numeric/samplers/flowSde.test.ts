import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {ConfigError} from '../../../src/errors.js';
import {logProbability} from '../../../src/numeric/gaussian.js';
import {flowSde, wanSde} from '../../../src/numeric/samplers/flowSde.js';
import {ode} from '../../../src/numeric/samplers/ode.js';
import {replay, step} from '../../../src/numeric/transition.js';
import {flowSigmas} from '../../../src/numeric/schedule.js';
import {cases, column, expectClose, expectOutput, numbers, tensor, type GoldenTensor} from '../../support/golden.js';
import {expectPeer, inputsOf, rowsOf, sigmasOf, type FlowParams} from '../../support/flowPeers.js';

const lastStep = 'sde';

describe('flowSde', () => {
  for (const c of cases<FlowParams>('flow_sde.json', 'flow_grpo-sde', 'flow_grpo-diffusers-sigmas', 'flow_grpo-2025-07')) {
    it(`matches ${c.name}`, () => expectPeer(c, flowSde(sigmasOf(c), {noiseLevel: c.params.noise_level, lastStep})));
  }

  type VerlParams = FlowParams & {sde_type: string; include_logprob_normalizer: boolean};
  for (const c of cases<VerlParams>('flow_sde.json', 'verl-omni').filter((v) => v.params.sde_type === 'sde')) {
    it(`matches ${c.name}`, () => {
      const table = flowSde(sigmasOf(c), {noiseLevel: c.params.noise_level, lastStep});
      expectPeer(c, table, {withoutNormaliser: !c.params.include_logprob_normalizer});
    });
  }

  for (const c of cases<FlowParams>('flow_sde.json', 'unirl').filter((v) => v.name.includes('Flow'))) {
    it(`matches ${c.name} with its kernel's σ at the pole`, () => {
      const options = {noiseLevel: c.params.noise_level, initialSigma: c.params.sigma_max!, lastStep} as const;
      expectPeer(c, flowSde(sigmasOf(c), options));
    });
  }

  for (const c of cases<FlowParams & {sde_type: string}>('flow_sde.json', 'genrl').filter(
    (v) => v.params.sde_type === 'flow_sde',
  )) {
    it(`matches ${c.name} with the step's std limited`, () => {
      expectPeer(c, flowSde(sigmasOf(c), {noiseLevel: c.params.noise_level, maxStd: c.params.diffusion_clip!, lastStep}));
    });
  }

  for (const c of cases<FlowParams>('flow_sde.json', 'genrl-step0-unclipped')) {
    const sigmas = sigmasOf(c);
    it(`does not explode where ${c.name} does, at a first σ just below 1`, () => {
      const [first] = flowSde(sigmas, {noiseLevel: 0.7, lastStep});
      expectClose([first.std], [0.7 * Math.sqrt((sigmas[0] / (1 - sigmas[1])) * (sigmas[0] - sigmas[1]))], 1e-12);
    });
    it(`matches ${c.name} when told its σ`, () => {
      expectPeer(c, flowSde(sigmas, {noiseLevel: c.params.noise_level, initialSigma: sigmas[0], lastStep}));
    });
  }

  for (const c of cases<FlowParams>('flow_sde.json', 'mixgrpo-flow')) {
    it(`matches ${c.name}`, () => {
      expectPeer(c, flowSde(sigmasOf(c), {noiseLevel: c.params.noise_level, lastStep}), {sIsStd: true});
    });
  }

  for (const c of cases<FlowParams>('flow_sde.json', 'mixgrpo-flow-ode')) {
    it(`matches ${c.name}: the ODE's point scored under the SDE`, () => {
      const sde = rowsOf(c, flowSde(sigmasOf(c), {noiseLevel: c.params.eta, lastStep}));
      const [latent, output] = [tensor(c.inputs.sample), tensor(c.inputs.model_output)];
      const straight = inputsOf(latent, output, rowsOf(c, ode(sigmasOf(c))));
      const {next} = step({...straight, noise: tf.zerosLike(latent)});
      const {mean} = replay({...inputsOf(latent, output, sde), next});
      expectOutput(c, 'prev_sample', next);
      expectOutput(c, 'pred_original', straight.x0);
      expectOutput(c, 'sde_mean', mean);
      expectOutput(c, 'step_std', [sde[0].std]);
      expectOutput(
        c,
        'log_prob',
        logProbability(
          next,
          mean,
          column(sde, (r) => r.std),
        ),
      );
    });
  }

  it('gives the published numbers of one trajectory', () => {
    // reference/algorithms.md §2.14, from running flow_grpo.
    const table = flowSde(flowSigmas(10, {shift: 3}), {noiseLevel: 0.7, lastStep});
    const x = [0.5, -1, 0.25, 2];
    const v = [0.1, 0.2, -0.3, 0.4];
    const mean = (i: number): number[] => x.map((xi, j) => table[i].a * xi + table[i].b * (xi - table[i].time * v[j]));
    expectClose(mean(0), [0.3739286, -0.7621428, 0.1994643, 1.495714], 5e-7);
    expectClose(mean(9), [0.4280417, -0.9805834, 0.3229584, 1.712167], 5e-7);
    expectClose([table[0].std / 0.1889824, table[9].std / 0.5], [3.70405, 0.4041452], 2e-6);
  });

  it('keeps the mean and the variance of the latent that the schedule says, to second order in the step', () => {
    // For data at a point, x0 is known exactly: then x = (1 − σ)x0 + σε must map to (1 − σ')x0 + σ'ε'.
    const error = (steps: number): number => {
      const table = flowSde(flowSigmas(steps), {noiseLevel: 0.7});
      const rows = table.filter((r) => r.time <= 0.8 && r.time >= 0.4);
      return Math.max(...rows.map((r) => Math.abs((r.a * r.time) ** 2 + r.std ** 2 - r.nextTime ** 2)));
    };
    for (const r of flowSde(flowSigmas(10), {noiseLevel: 0.7})) expectClose([r.a * (1 - r.time) + r.b], [1 - r.nextTime], 1e-12);
    expect(error(50) / error(100)).to.be.within(3.6, 4.4);
  });

  it('ends in the predicted clean latent unless asked otherwise', () => {
    const sigmas = flowSigmas(5, {shift: 3});
    const [ends, noisy] = [flowSde(sigmas, {noiseLevel: 0.7}).at(-1)!, flowSde(sigmas, {noiseLevel: 0.7, lastStep}).at(-1)!];
    expectClose([ends.a, ends.b, ends.std], [0, 1, 0], 1e-15);
    expect(noisy.std).to.be.above(0.1);
  });

  it('refuses options out of range', () => {
    const sigmas = flowSigmas(4);
    expect(() => flowSde([0, 1], {noiseLevel: 1})).to.throw(ConfigError, /fall within/);
    expect(() => flowSde([1], {noiseLevel: 1})).to.throw(ConfigError, /fall within/);
    expect(() => flowSde(sigmas, {noiseLevel: -1})).to.throw(ConfigError, /noiseLevel/);
    expect(() => flowSde(sigmas, {noiseLevel: 1, maxStd: 0})).to.throw(ConfigError, /maxStd/);
    expect(() => flowSde(sigmas, {noiseLevel: 1, initialSigma: 1})).to.throw(ConfigError, /initialSigma/);
  });
});

describe('flowSde, the diffusion that a divergence threshold is compared with', () => {
  interface SigmaParams {
    sigmas: GoldenTensor;
    step_index: number[];
    eta: number;
  }
  for (const c of cases<SigmaParams>('losses.json', 'unirl-dppo-sigma')) {
    it(`matches ${c.name}: the peer's own at .99, and the one it samples with`, () => {
      const sigmas = numbers(c.params.sigmas);
      const std = (initialSigma: 'next' | number): number[] => {
        const table = flowSde(sigmas, {noiseLevel: c.params.eta, lastStep, initialSigma});
        return c.params.step_index.map((i) => table[i].std);
      };
      expectOutput(c, 'sigma_t', std(0.99), 1e-6);
      expectOutput(c, 'sigma_with_sigmas_1', std('next'), 1e-6);
    });
  }
});

describe('wanSde', () => {
  for (const c of cases<FlowParams>('flow_sde.json', 'flow_grpo-wan')) {
    it(`matches ${c.name}`, () => expectPeer(c, wanSde(sigmasOf(c), {lastStep})));
  }
});
