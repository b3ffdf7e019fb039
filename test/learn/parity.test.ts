/** The parity guard lets an honest rollout through, and stops every planted mismatch by name. */
import {expect} from 'chai';
import {gaussianToy} from '../../environments/gaussianToy.js';
import type {Scored} from '../../src/algorithm.js';
import type {Device} from '../../src/engine/device.js';
import {RlftError} from '../../src/errors.js';
import type {ResidentLearner} from '../../src/learn/learner.js';
import {checkParity} from '../../src/learn/parity.js';
import {flowSde} from '../../src/numeric/samplers/flowSde.js';
import {samplerTables} from '../../src/numeric/samplers/named.js';
import {createGenerator, type Trajectories} from '../../src/rollout/generate.js';
import {packPolicyFor} from '../../src/rollout/residentPolicy.js';
import {float16ToFloat32, float32ToFloat16} from '../../src/tensor/float16.js';
import {rejection} from '../support/files.js';
import {nano, noisyWeights, openLearner} from '../support/nano.js';
import {openTestDevice} from '../support/toy.js';

/** The nearest numbers with a mantissa of eight bits. */
const toBfloat16 = (data: Float32Array): Float32Array => {
  const bits = new Uint32Array(data.slice().buffer);
  return new Float32Array(bits.map((b) => (b + 0x7fff + ((b >>> 16) & 1)) & 0xffff0000).buffer);
};

/** As a run bounds it. */
const BOUND = 1e-6;

for (const [environment, params] of [
  [nano, noisyWeights(nano)],
  [gaussianToy(), gaussianToy().initialise(0)],
] as const) {
  describe(`parity guard in ${environment.name}`, function () {
    this.timeout(120_000);
    const tables = samplerTables('flowSde', 5, 0.7);
    let device: Device;
    let learner: ResidentLearner;
    let made: Trajectories;
    before(async () => {
      device = await openTestDevice();
      learner = await openLearner(environment, device, params);
      const generate = createGenerator(environment, device, packPolicyFor(environment, params), 'gaussian', 1);
      const request = {prompts: environment.prompts('train', 2), samples: 2, table: tables.stochastic, seed: 5, iteration: 0};
      made = await generate(learner.policy, {...request, purpose: 'test', sharedStart: false});
    });
    after(() => device.close());
    const scored = (change: Partial<Trajectories>): Scored => ({
      trajectories: {...made, ...change},
      rewards: new Float32Array(4),
    });

    it('lets a rollout through, and tells its gap', async () => {
      expect(await checkParity(learner, scored({}), BOUND)).to.be.within(0, BOUND / 2);
    });

    it('has nothing to say of a deterministic rollout', async () => {
      expect(await checkParity(learner, scored({table: tables.deterministic}), BOUND)).to.equal(undefined);
    });

    const stopped = (title: string, change: () => Partial<Trajectories>): void => {
      it(`stops ${title}`, async () => {
        const error = await rejection(checkParity(learner, scored(change()), BOUND));
        expect(error).to.be.instanceOf(RlftError);
        expect(error.message).to.match(/^parity: .* the bound is 0\.000001\./);
      });
    };
    stopped('latents that were kept in half precision', () => ({
      latents: made.latents.map((latent) => ({...latent, data: float16ToFloat32(float32ToFloat16(latent.data))})),
    }));
    stopped('latents that were kept as bfloat16', () => ({
      latents: made.latents.map((latent) => ({...latent, data: toBfloat16(latent.data)})),
    }));
    stopped('log-probabilities that were kept in half precision', () => ({
      logProbs: made.logProbs.map((row) => float16ToFloat32(float32ToFloat16(row))),
    }));
    stopped('a schedule that was rebuilt from timesteps, whole thousandths', () => ({
      table: flowSde([...tables.stochastic.map(({time}) => Math.round(time * 1000) / 1000), 0], {noiseLevel: 0.7}),
    }));
    stopped('a latent that was altered', () => ({
      latents: made.latents.map((latent, k) => (k === 1 ? {...latent, data: latent.data.map((x) => x + 1e-3)} : latent)),
    }));
    stopped('a table that was rebuilt with another noise level', () => ({table: samplerTables('flowSde', 5, 0.69).stochastic}));
    stopped('a table of another sampler', () => ({table: samplerTables('danceSde', 5, 0.7).stochastic}));
    stopped('the text of another prompt', () => ({textRow: made.textRow.map((row) => 1 - row)}));
    stopped('log-probabilities that are sums', () => ({logProbs: made.logProbs.map((row) => row.map((l) => l * 2))}));
    stopped('a log-probability that is not finite', () => ({logProbs: made.logProbs.map((row) => row.map(() => NaN))}));

    it('stops a policy that is scored with another guidance scale', async () => {
      const guided = await openLearner(environment, device, params, {guidanceScale: 2});
      expect((await rejection(checkParity(guided, scored({}), BOUND))).message).to.match(/^parity: /);
      await guided.close();
    });

    it('stops weights that are not those that acted', async () => {
      const moved = await openLearner(environment, device, noisyWeights(environment, 0.05));
      expect((await rejection(checkParity(moved, scored({}), BOUND))).message).to.match(/^parity: /);
      await moved.close();
    });
  });
}
