import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {ConfigError} from '../../../src/errors.js';
import {flowSde} from '../../../src/numeric/samplers/flowSde.js';
import {ode, windowed} from '../../../src/numeric/samplers/ode.js';
import {flowSigmas} from '../../../src/numeric/schedule.js';
import {step} from '../../../src/numeric/transition.js';
import {cases, expectClose, expectOutput, tensor} from '../../support/golden.js';
import {inputsOf} from '../../support/flowPeers.js';

describe('ode', () => {
  for (const c of cases<{shift: number; num_inference_steps: number; step_index: number}>('schedulers.json', 'flow-euler-step')) {
    it(`matches ${c.name} of diffusers`, () => {
      const {shift, num_inference_steps: steps, step_index: i} = c.params;
      const row = ode(flowSigmas(steps, {shift, table: 'diffusers'}))[i];
      const latent = tensor(c.inputs.sample);
      const rows = Array.from({length: latent.shape[0]}, () => row);
      const inputs = inputsOf(latent, tensor(c.inputs.model_output), rows);
      expectOutput(c, 'sigma', [row.time]);
      expectOutput(c, 'sigma_next', [row.nextTime]);
      expectOutput(c, 'prev_sample', step({...inputs, noise: tf.zerosLike(latent)}).next);
      const noised = tf.add(tf.mul(latent, 1 - row.time), tf.mul(tensor(c.inputs.noise), row.time));
      expectOutput(c, 'scaled_noise', noised);
    });
  }

  it('follows a straight path exactly in any number of steps', () => {
    // With the true x0 the path from ε is straight: x_σ = (1 − σ)·x0 + σ·ε.
    const [clean, noise] = [0.3, -1.7];
    for (const steps of [1, 3, 8]) {
      let x = noise;
      for (const r of ode(flowSigmas(steps, {shift: 3}))) {
        x = r.a * x + r.b * clean;
        expectClose([x], [(1 - r.nextTime) * clean + r.nextTime * noise], 1e-12);
        expect(r.std).to.equal(0);
      }
    }
  });

  it('converges to the solution for Gaussian data at first order', () => {
    // Data N(0, 4): E[x0 | x] = 4(1 − t)/(4(1 − t)² + t²)·x, and the flow carries x1 to 2·x1.
    const error = (steps: number): number => {
      let x = 1;
      for (const r of ode(flowSigmas(steps))) x = r.a * x + (r.b * 4 * (1 - r.time) * x) / (4 * (1 - r.time) ** 2 + r.time ** 2);
      return Math.abs(x - 2);
    };
    expect(error(400)).to.be.below(0.01);
    expect(error(200) / error(400)).to.be.within(1.8, 2.2);
  });
});

describe('windowed', () => {
  const sigmas = flowSigmas(6);
  const sde = flowSde(sigmas, {noiseLevel: 0.7});
  const straight = ode(sigmas);

  it('is stochastic inside the window alone', () => {
    const mixed = windowed(sde, straight, 1, 2);
    expect(mixed).to.deep.equal([straight[0], sde[1], sde[2], straight[3], straight[4], straight[5]]);
    expect(mixed.map((r) => r.std > 0)).to.deep.equal([false, true, true, false, false, false]);
    expect(windowed(sde, straight, 4, 9)).to.deep.equal([...straight.slice(0, 4), ...sde.slice(4)]);
  });

  it('refuses windows outside the steps and tables of other steps', () => {
    for (const [start, size] of [
      [-1, 2],
      [6, 1],
      [0, 0],
      [0.5, 1],
    ]) {
      expect(() => windowed(sde, straight, start, size)).to.throw(ConfigError, /window/);
    }
    expect(() => windowed(sde, ode(flowSigmas(5)), 0, 1)).to.throw(ConfigError, /same steps/);
    expect(() => windowed(sde, ode(flowSigmas(6, {shift: 2})), 0, 1)).to.throw(ConfigError, /same steps/);
  });
});
