import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import fc from 'fast-check';
import {ConfigError} from '../../../src/errors.js';
import {danceSde} from '../../../src/numeric/samplers/danceSde.js';
import {flowSde} from '../../../src/numeric/samplers/flowSde.js';
import {flowSigmas} from '../../../src/numeric/schedule.js';
import {replay} from '../../../src/numeric/transition.js';
import {cases, expectClose, expectOutput, tensor} from '../../support/golden.js';
import {expectPeer, inputsOf, sigmasOf, type FlowParams} from '../../support/flowPeers.js';

const lastStep = 'sde';

describe('danceSde', () => {
  for (const c of cases<FlowParams>('flow_sde.json', 'dance')) {
    it(`matches ${c.name}`, () => expectPeer(c, danceSde(sigmasOf(c), {noiseLevel: c.params.noise_level, lastStep})));
  }

  for (const c of cases<FlowParams>('flow_sde.json', 'mixgrpo-dance', 'pisces-grpo')) {
    it(`matches ${c.name} apart from the normaliser that its log-probability lacks`, () => {
      expectPeer(c, danceSde(sigmasOf(c), {noiseLevel: c.params.noise_level, lastStep}), {withoutNormaliser: true});
    });
  }

  const others = cases<FlowParams & {sde_type?: string}>('flow_sde.json', 'unirl', 'verl-omni');
  for (const c of others.filter((v) => v.name.includes('Dance') || v.params.sde_type === 'dance_sde')) {
    it(`matches ${c.name}`, () => {
      expectPeer(c, danceSde(sigmasOf(c), {noiseLevel: c.params.noise_level, lastStep}), {sIsStd: true});
    });
  }

  for (const c of cases<FlowParams & {w: number}>('flow_sde.json', 'dance-one-step')) {
    it(`matches ${c.name}: the log-probability of a model and its gradient`, () => {
      const latent = tensor(c.inputs.latents);
      const row = danceSde(sigmasOf(c), {noiseLevel: c.params.eta, lastStep})[c.params.step_index as number];
      const rows = Array.from({length: latent.shape[0]}, () => row);
      const logProb = (w: tf.Tensor): tf.Tensor => {
        const velocity = tf.add(tf.mul(w, latent), tensor(c.inputs.bias));
        return replay({...inputsOf(latent, velocity, rows), next: tensor(c.inputs.pre_latents)}).logProb;
      };
      expectOutput(c, 'log_prob', logProb(tf.scalar(c.params.w)));
      expectOutput(c, 'grad_sum_wrt_w', tf.grad((w) => tf.sum(logProb(w)))(tf.scalar(c.params.w)));
    });
  }

  it('is the score form: x + v·Δ − η²/2·score·Δ', () => {
    for (const r of danceSde(flowSigmas(8, {shift: 5}), {noiseLevel: 0.3, lastStep})) {
      const step = r.nextTime - r.time;
      const mean = (x: number, x0: number): number => {
        const score = -(x - (1 - r.time) * x0) / r.time ** 2;
        return x + ((x - x0) / r.time) * step - 0.5 * 0.3 ** 2 * score * step;
      };
      expectClose([r.a, r.b, r.std], [mean(1, 0), mean(0, 1), 0.3 * Math.sqrt(-step)], 1e-12);
    }
  });

  it('is the flow SDE whose noise level makes its diffusion constant, step by step', () => {
    const settings = fc.tuple(fc.integer({min: 2, max: 20}), fc.integer({min: 1, max: 17}), fc.integer({min: 1, max: 100}));
    fc.assert(
      fc.property(settings, ([steps, shift, percent]) => {
        const sigmas = flowSigmas(steps, {shift});
        const eta = percent / 100;
        danceSde(sigmas, {noiseLevel: eta, lastStep}).forEach((row, i) => {
          // a·√(σ/(1 − σ)) = η, with the second σ in place of the first.
          const noiseLevel = eta / Math.sqrt(sigmas[i] / (1 - (i === 0 ? sigmas[1] : sigmas[i])));
          const flow = flowSde(sigmas, {noiseLevel, lastStep})[i];
          expectClose([flow.a, flow.b, flow.std], [row.a, row.b, row.std], 1e-9, 1e-9);
        });
      }),
      {numRuns: 100, seed: 1},
    );
  });

  it('ends in the predicted clean latent, and refuses a negative noise level', () => {
    const last = danceSde(flowSigmas(4), {noiseLevel: 0.3}).at(-1)!;
    expectClose([last.a, last.b, last.std], [0, 1, 0], 1e-15);
    expect(() => danceSde(flowSigmas(4), {noiseLevel: -0.1})).to.throw(ConfigError, /noiseLevel/);
  });
});
