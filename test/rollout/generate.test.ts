/** Rollouts: what is stored is what happened, and happens again. */
import {expect} from 'chai';
import {gaussianToy, gaussianToyDeviation} from '../../environments/gaussianToy.js';
import type {Device} from '../../src/engine/device.js';
import type {Environment} from '../../src/environment.js';
import {NonFiniteError} from '../../src/errors.js';
import {gatherTransitions, stochasticTransitions} from '../../src/learn/transitions.js';
import {samplerNames, samplerTables, type SamplerTables} from '../../src/numeric/samplers/named.js';
import {windowed} from '../../src/numeric/samplers/ode.js';
import {createGenerator, type GenerateRequest, type Trajectories} from '../../src/rollout/generate.js';
import {packPolicyFor, putPolicy} from '../../src/rollout/residentPolicy.js';
import {float32, rows, type NdArray} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';
import {rejection} from '../support/files.js';
import {expectClose} from '../support/golden.js';
import {nano, noisyWeights, openLearner} from '../support/nano.js';
import {baseMeans, openTestDevice} from '../support/toy.js';

describe('generate', function () {
  this.timeout(120_000);
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  const toy = gaussianToy();
  const prompts = toy.prompts('train', 4);
  const tables = samplerTables('flowSde', 6, 0.7);
  const request: GenerateRequest = {
    prompts,
    samples: 3,
    table: tables.stochastic,
    seed: 5,
    iteration: 2,
    purpose: 'test',
    sharedStart: false,
  };

  /** Generates in a world with given weights. */
  async function make(
    change: Partial<GenerateRequest> = {},
    environment: Environment = toy,
    guidanceScale = 1,
    params = environment.initialise(0),
  ): Promise<Trajectories> {
    const layout = packPolicyFor(environment, params);
    const generate = createGenerator(environment, device, layout, 'gaussian', guidanceScale);
    return generate(await putPolicy(device, params, layout), {...request, ...change});
  }

  it('ends at the next step when it is aborted, with the reason', async () => {
    const params = toy.initialise(0);
    const layout = packPolicyFor(toy, params);
    const stop = new AbortController();
    let steps = 0;
    const counting: Device = {
      ...device,
      jit: (name, fn) => {
        const run = device.jit(name, fn);
        return (inputs, options) => {
          if (name === 'rollout/step' && ++steps === 2) stop.abort(new Error('nobody listens'));
          return run(inputs, options);
        };
      },
    };
    const generate = createGenerator(toy, counting, layout, 'gaussian', 1);
    const error = await rejection(generate(await putPolicy(device, params, layout), request, stop.signal));
    expect(error.message).to.equal('nobody listens');
    expect(steps).to.equal(2);
  });

  /** The rows of sample `i` of every prompt. */
  const sample = (latent: NdArray<'float32'>, i: number, samples = 3): number[] =>
    prompts.map((_, p) => latent.data[p * samples + i]);

  it('takes the steps of the table with the noise of their keys, as float64 takes them', async () => {
    const {latents, logProbs, prompts: all, textRow, videos} = await make();
    expect(all.map((p) => p.id)).to.deep.equal(prompts.flatMap((p) => [p.id, p.id, p.id]));
    expect(textRow).to.deep.equal([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
    expect(latents).to.have.length(7);
    const s2 = gaussianToyDeviation ** 2;
    all.forEach((prompt, row) => {
      const noise = (step: number): number => {
        const key = {seed: 5, purpose: 'test', iteration: 2, prompt: prompt.id, sample: row % 3, step};
        return normals(key, new Float32Array(1))[0];
      };
      let x = noise(0);
      const mu = baseMeans[textRow[row]];
      tables.stochastic.forEach(({time: t, scale, a, b, std}, k) => {
        expect(latents[k].data[row]).to.be.closeTo(x, 1e-5);
        const gain = ((1 - t) * s2) / ((1 - t) ** 2 * s2 + t * t);
        const z = noise(k + 1);
        x = a * x + b * (mu + gain * (scale * x - (1 - t) * mu)) + std * z;
        const logProb = std === 0 ? 0 : (-z * z) / 2 - Math.log(std) - Math.log(2 * Math.PI) / 2;
        expect(logProbs[k][row]).to.be.closeTo(logProb, 2e-4);
      });
      expect(latents[6].data[row]).to.be.closeTo(x, 1e-5);
      expect(videos.data[row * 3]).to.equal(Math.fround(Math.max(-1, Math.min(1, latents[6].data[row]))));
    });
  });

  it('gives the same bits for the same keys, and others for any other key', async () => {
    const one = await make();
    expect(await make()).to.deep.equal(one);
    for (const change of [{seed: 6}, {iteration: 3}, {purpose: 'evaluation'}]) {
      const other = await make(change);
      expect(other.latents[0].data.some((x, i) => x === one.latents[0].data[i])).to.equal(false);
    }
  });

  it('gives a prompt the same trajectories in any company', async () => {
    const all = await make();
    const alone = await make({prompts: [prompts[2]]});
    alone.latents.forEach((latent, k) => expectClose(latent.data, rows(all.latents[k], 6, 9).data, k === 0 ? 0 : 1e-6));
  });

  it('starts all samples of a prompt from one latent and shares the steps before the window, if it is asked to', async () => {
    const window = windowed(tables.stochastic, tables.deterministic, 2, 2);
    const {latents, logProbs} = await make({table: window, sharedStart: true});
    latents.forEach((latent, k) => {
      const [first, second] = [sample(latent, 0), sample(latent, 1)];
      if (k <= 2) expect(second, `latent ${k}`).to.deep.equal(first);
      else second.forEach((x, p) => expect(x, `latent ${k}`).not.to.equal(first[p]));
      expect(new Set(first).size, `latent ${k} of four prompts`).to.equal(4);
    });
    logProbs.forEach((row, k) =>
      expect(
        row.every((l) => l === 0),
        `step ${k}`,
      ).to.equal(k < 2 || k > 3),
    );
    // The shared part is what every sample would have walked by itself.
    const apart = await make({table: window, samples: 1});
    for (const k of [0, 1, 2]) expectClose(sample(latents[k], 0), apart.latents[k].data, 1e-6);
  });

  it('starts every sample from a latent of its own otherwise', async () => {
    const {latents} = await make({table: tables.deterministic});
    expect(new Set(latents[0].data).size).to.equal(12);
    expect(new Set(latents[6].data).size).to.equal(12);
  });

  it('makes equal samples if the start is shared and no step is noisy', async () => {
    const {latents, videos} = await make({table: tables.deterministic, sharedStart: true});
    expect(sample(latents[6], 2)).to.deep.equal(sample(latents[6], 0));
    expect(videos.shape).to.deep.equal([12, 1, 1, 1, 3]);
  });

  it('stops by the name of the prompt when a latent is not finite', async () => {
    const params = {...toy.initialise(0), mean: float32([0, 0, NaN, 0])};
    const {text} = prompts[0];
    const bad = await rejection(make({}, toy, 1, params));
    expect(bad).to.be.instanceOf(NonFiniteError);
    // A one-hot row times NaN is NaN for every prompt.
    expect(bad.message).to.include(`prompt "${text}"`);
  });

  describe('is replayed with ratio 1', () => {
    const params = noisyWeights(nano);
    const two = nano.prompts('train', 2);
    const cases: {name: string; tables: SamplerTables; guidanceScale: number; window?: boolean}[] = [
      ...samplerNames.map((name) => ({name, tables: samplerTables(name, 5, 0.7), guidanceScale: 1})),
      {name: 'flowSde with guidance 2', tables: samplerTables('flowSde', 5, 0.7), guidanceScale: 2},
      {name: 'flowSde in a window from a shared start', tables: samplerTables('flowSde', 5, 0.7), guidanceScale: 1, window: true},
    ];
    for (const {name, tables: of, guidanceScale, window = false} of cases) {
      it(name, async () => {
        const layout = packPolicyFor(nano, params);
        const learner = await openLearner(nano, device, params, {density: of.density, guidanceScale});
        const generate = createGenerator(nano, device, layout, of.density, guidanceScale);
        const table = window ? windowed(of.stochastic, of.deterministic, 1, 2) : of.stochastic;
        const made = await generate(learner.policy, {...request, prompts: two, samples: 2, table, sharedStart: window});
        const scored = [{trajectories: made, rewards: new Float32Array(4)}];
        const refs = stochasticTransitions(scored);
        expect(refs).to.have.length(window ? 8 : 16);
        const {ratioGap} = await learner.evaluate(gatherTransitions(scored, refs, [scored[0].rewards]));
        await learner.close();
        // Log-probabilities are of order 1 and rounded to 24 bits; the sum of all gaps bounds each.
        expect(ratioGap.data[0] / refs.length).to.be.below(1e-6);
        expect(made.logProbs.some((row) => row.some((l) => Math.abs(l) > 1e-3))).to.equal(true);
      });
    }
  });
});
