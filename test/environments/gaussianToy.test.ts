/** The toy's policy against the integral it stands for, and what samplers make of it against its recursion. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {gaussianToy, gaussianToyDeviation, gaussianToyMeans} from '../../environments/gaussianToy.js';
import {nearTarget, nearTargetLevel} from '../../rewards/nearTarget.js';
import type {Device} from '../../src/engine/device.js';
import {ConfigError} from '../../src/errors.js';
import {odeTable, samplerNames, samplerTables} from '../../src/numeric/samplers/named.js';
import {createGenerator} from '../../src/rollout/generate.js';
import {packPolicyFor, putPolicy} from '../../src/rollout/residentPolicy.js';
import {float32, type NdArray} from '../../src/tensor/ndarray.js';
import {mapTree} from '../../src/tensor/tree.js';
import {bareContext} from '../support/bareContext.js';
import {expectClose, values} from '../support/golden.js';
import {baseMeans, generated, openTestDevice} from '../support/toy.js';

const environment = gaussianToy();
const params = environment.initialise(0);
const prompts = environment.prompts('train', 4);

/** E[x0 | x_t] by the trapezoidal rule over ±8 standard deviations. */
function posteriorMean(x: number, t: number, m: number, s: number): number {
  let [top, bottom] = [0, 0];
  for (let i = 0; i <= 4000; i++) {
    const x0 = m + s * (-8 + (16 * i) / 4000);
    const weight = Math.exp(-((x0 - m) ** 2) / (2 * s * s) - (x - (1 - t) * x0) ** 2 / (2 * t * t));
    top += weight * x0;
    bottom += weight;
  }
  return top / bottom;
}

describe('gaussianToy', () => {
  it('predicts the posterior mean, as the integral gives it', () => {
    const times = [0.9, 0.6, 0.3, 0.05];
    const latents = [1.2, -0.4, 0.1, 0.33];
    const tensors = mapTree(params, (a: NdArray) => tf.tensor(a.data, [...a.shape]));
    const tokens = environment.policy.tokenize(prompts.map((p) => p.text));
    const text = environment.policy.encode(tensors, tf.tensor(tokens.data, [4, 1], 'int32'));
    const x0 = environment.policy.denoise(tensors, tf.tensor(latents, [4, 1, 1, 1, 1]), tf.tensor1d(times), text);
    expectClose(
      values(x0),
      baseMeans.map((m, i) => posteriorMean(latents[i], times[i], m, gaussianToyDeviation)),
      1e-6,
    );
  });

  it('starts at the base whatever the seed', () => {
    expect(environment.initialise(1)).to.deep.equal(environment.initialise(2));
    expectClose((params['mean'] as NdArray).data, Object.values(gaussianToyMeans), 1e-7);
  });

  it('refuses a caption that is none of its words, naming it', () => {
    expect(() => environment.policy.tokenize(['dark', 'gloomy'])).to.throw(ConfigError, '"gloomy"');
    expect(() => environment.policy.tokenize(['dark dim'])).to.throw(ConfigError, '"dark dim"');
    expect(() => environment.policy.tokenize([''])).to.throw(ConfigError);
    expect(() => gaussianToy('huge')).to.throw(ConfigError, '"huge"');
    expect(() => environment.prompts('test', 1)).to.throw(ConfigError, '"test"');
  });

  it('keeps its mean under every flow sampler, and nearly so under ddim, whose first latent lacks the mean', () => {
    for (const name of samplerNames) {
      for (const steps of [1, 3, 10]) {
        const {stochastic, deterministic} = samplerTables(name, steps, 0.7);
        const slack = name === 'ddim' ? 5e-3 : 1e-12; // √ᾱ of its first level is .07, not 0
        for (const table of [stochastic, deterministic]) expect(generated(table, 0.3).mean, name).to.be.closeTo(0.3, slack);
      }
    }
  });

  it('generates the deviation of the data when the steps are many', () => {
    expect(Math.sqrt(generated(odeTable(2000), 0.1).variance)).to.be.closeTo(gaussianToyDeviation, 2e-3);
  });

  describe('on a device', () => {
    let device: Device;
    before(async () => {
      device = await openTestDevice();
    });
    after(() => device.close());
    const layout = packPolicyFor(environment, params);
    const samples = 1000;

    /** Mean and variance of what is generated for each prompt. */
    async function moments(
      guidanceScale: number,
      table = samplerTables('flowSde', 6, 0.7).stochastic,
    ): Promise<{mean: number; variance: number}[]> {
      const generate = createGenerator(environment, device, layout, 'gaussian', guidanceScale);
      const request = {prompts, samples, table, seed: 3, iteration: 0, purpose: 'test', sharedStart: false};
      const {videos} = await generate(await putPolicy(device, params, layout), request);
      return prompts.map((_, c) => {
        const x = Array.from({length: samples}, (_, i) => videos.data[(c * samples + i) * 3]);
        const mean = x.reduce((a, b) => a + b, 0) / samples;
        return {mean, variance: x.reduce((a, b) => a + (b - mean) ** 2, 0) / samples};
      });
    }

    for (const scale of [1, 2]) {
      it(`generates mean and variance of the recursion with guidance ${scale}`, async () => {
        const table = samplerTables('flowSde', 6, 0.7).stochastic;
        (await moments(scale, table)).forEach(({mean, variance}, c) => {
          const wanted = generated(table, scale * baseMeans[c]);
          // Four standard errors of a mean and of a variance of normals.
          expect(mean).to.be.closeTo(wanted.mean, 4 * Math.sqrt(wanted.variance / samples));
          expect(variance).to.be.closeTo(wanted.variance, 4 * wanted.variance * Math.sqrt(2 / samples));
        });
      });
    }
  });

  it('has grey videos in [-1, 1]', () => {
    const {shape, data} = environment.decode(float32([0.5, -3], [2, 1, 1, 1, 1]));
    expect(shape).to.deep.equal([2, 1, 1, 1, 3]);
    expect([...data]).to.deep.equal([0.5, 0.5, 0.5, -1, -1, -1]);
  });
});

describe('nearTarget', () => {
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  it('is minus the squared distance of the mean pixel', async () => {
    const reward = await nearTarget.open(bareContext(environment, device));
    const scores = await reward.score(float32([0, 0.5, 1, 0.25, 0.25, 0.25], [2, 1, 1, 1, 3]), prompts.slice(0, 2));
    expectClose(scores, [-((0.5 - nearTargetLevel) ** 2), 0], 1e-7);
  });
});
