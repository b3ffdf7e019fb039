import {expect} from 'chai';
import fc from 'fast-check';
import {ConfigError} from '../../../src/errors.js';
import {cps} from '../../../src/numeric/samplers/cps.js';
import {ode} from '../../../src/numeric/samplers/ode.js';
import {flowSigmas} from '../../../src/numeric/schedule.js';
import {cases, expectClose} from '../../support/golden.js';
import {expectPeer, sigmasOf, type FlowParams} from '../../support/flowPeers.js';

describe('cps', () => {
  const others = cases<FlowParams & {sde_type?: string}>('flow_sde.json', 'genrl', 'verl-omni');
  for (const c of [
    ...cases<FlowParams>('flow_sde.json', 'flow_grpo-cps'),
    ...others.filter((v) => v.params.sde_type?.endsWith('cps')),
  ]) {
    it(`matches ${c.name}`, () => {
      expectPeer(c, cps(sigmasOf(c), {noiseLevel: c.params.noise_level}), {cps: true, sIsStd: true});
    });
  }

  for (const c of cases<FlowParams>('flow_sde.json', 'unirl').filter((v) => v.name.includes('CPS'))) {
    it(`matches ${c.name}, which scores by squared error too`, () => {
      expectPeer(c, cps(sigmasOf(c), {noiseLevel: c.params.noise_level}), {cps: true});
    });
  }

  it('keeps exactly the noise level of the schedule', () => {
    const settings = fc.tuple(fc.integer({min: 1, max: 20}), fc.integer({min: 1, max: 17}), fc.integer({min: 0, max: 100}));
    fc.assert(
      fc.property(settings, ([steps, shift, percent]) => {
        for (const r of cps(flowSigmas(steps, {shift}), {noiseLevel: percent / 100})) {
          // x = (1 − σ)x0 + σε with the true x0 goes to (1 − σ')x0 and noise of variance σ'².
          expectClose([r.a * (1 - r.time) + r.b, (r.a * r.time) ** 2 + r.std ** 2], [1 - r.nextTime, r.nextTime ** 2], 1e-12);
        }
      }),
      {numRuns: 100, seed: 1},
    );
  });

  it('is the Euler step of the ODE without noise', () => {
    const sigmas = flowSigmas(6, {shift: 2});
    const straight = ode(sigmas);
    cps(sigmas, {noiseLevel: 0}).forEach((r, i) => expectClose([r.a, r.b, r.std], [straight[i].a, straight[i].b, 0], 1e-12));
  });

  it('refuses a noise level outside [0, 1]', () => {
    for (const noiseLevel of [-0.1, 1.1, NaN]) expect(() => cps(flowSigmas(4), {noiseLevel})).to.throw(ConfigError, /noiseLevel/);
  });
});
