/** Plans, beside what real runs of the same settings then do. */
import {expect} from 'chai';
import {totalmem} from 'node:os';
import {join} from 'node:path';
import {gaussianToy} from '../../environments/gaussianToy.js';
import {nearTarget} from '../../rewards/nearTarget.js';
import {algorithms} from '../../src/builtins.js';
import type {Device} from '../../src/engine/device.js';
import type {Environment} from '../../src/environment.js';
import {ConfigError} from '../../src/errors.js';
import {createRunFolder} from '../../src/run/runFolder.js';
import {writeWeights} from '../../src/run/weights.js';
import type {NdArray} from '../../src/tensor/ndarray.js';
import {leaves, type Branch} from '../../src/tensor/tree.js';
import {checkMemory, planRun} from '../../src/tune/plan.js';
import {tuneConfig} from '../../src/tune/schema.js';
import {bareContext} from '../support/bareContext.js';
import {rejection, temporaryFolder} from '../support/files.js';
import {runCommand} from '../support/runCommand.js';
import {openTestDevice} from '../support/toy.js';
import {tuneRun} from '../support/tuneRun.js';

const toy = gaussianToy();
const params = toy.initialise(0);
const settings = {
  environment: 'gaussianToy',
  preset: 'pixel',
  reward: 'nearTarget',
  threads: 1,
  iterations: 2,
  promptsPerIteration: 4,
  samplesPerPrompt: 6,
  samplingSteps: 5,
  evaluation: {prompts: 4, steps: 3},
  sampleEvery: 0,
};
/** Settings in which every count differs from the others. */
const cases: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  ddpo: {windowSize: 2, windowFrom: 0.5, anchorCoefficient: 0.1, innerEpochs: 2, sharedStart: true},
  grpo: {windowSize: 0, timestepFraction: 0.5, bestOf: 4, minibatches: 2, sharedStart: false, anchorCoefficient: 0},
  nft: {drawsPerClip: 2, innerEpochs: 2},
  direct: {variant: 'draftLv', draws: 3, minibatches: 2, distillationWeight: 0},
};
/** Settings in which a consistency distillation asks the network too. */
const distilling: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>> = {
  grpo: [
    {windowSize: 2, sharedStart: false, bestOf: 4, innerEpochs: 2, minibatches: 2, anchorCoefficient: 0, distillationWeight: 1},
  ],
  direct: [
    {distillationWeight: 1},
    {variant: 'draftK', gradientSteps: 2, distillationWeight: 1, innerEpochs: 2},
    {variant: 'draftLv', draws: 3, distillationWeight: 1},
    {variant: 'draftK', gradientSteps: 2, distillationWeight: 0},
  ],
};

describe('tune/plan', function () {
  this.timeout(120_000);
  const folder = temporaryFolder();

  /**
   * Rows that the network was given in the second iteration of a real run: in rollouts, as transitions of updates, and in updates all
   * told, which is counted where their graphs are traced.
   */
  async function counted(
    name: string,
    options: Readonly<Record<string, unknown>>,
  ): Promise<{rollout: number; learning: number; asked: number; updates: number}> {
    const rows = {rollout: 0, learning: 0, asked: 0, updates: 0};
    let traced = 0;
    const askedBy = new Map<string, number>();
    const shapesOf = (branch: Branch<unknown>): string =>
      leaves(branch as Branch<{shape: readonly number[]}>)
        .map(([path, {shape}]) => `${path}:${shape.join('x')}`)
        .sort()
        .join();
    const environment: Environment = {
      ...toy,
      policy: {
        ...toy.policy,
        denoise: (weights, latent, time, text) => {
          traced += latent.shape[0];
          return toy.policy.denoise(weights, latent, time, text);
        },
      },
    };
    const device = await openTestDevice();
    const counting: Device = {
      ...device,
      jit: (called, fn) => {
        const run = device.jit(called, (inputs) => {
          const before = traced;
          const made = fn(inputs);
          if (called === 'learn/accumulate') askedBy.set(shapesOf(inputs['batch'] as Branch<unknown>), traced - before);
          return made;
        });
        return async (inputs, given) => {
          const rowsOf = (branch: Branch<unknown>): number => (branch['text'] as NdArray).shape[0];
          if (called === 'rollout/step' || called === 'rollout/deterministicStep') rows.rollout += rowsOf(inputs);
          if (called === 'learn/apply') rows.updates++;
          const done = await run(inputs, given);
          if (called === 'learn/accumulate') {
            const batch = inputs['batch'] as Branch<unknown>;
            rows.learning += rowsOf(batch);
            rows.asked += askedBy.get(shapesOf(batch))!;
          }
          return done;
        };
      },
    };
    const algorithm = algorithms.get(name);
    const config = tuneConfig(algorithm, {...settings, ...options});
    let first = {...rows};
    let second = {...rows};
    try {
      await tuneRun({
        config,
        folder: await createRunFolder(join(folder(), 'run'), {force: true}),
        environment,
        algorithm,
        reward: await nearTarget.open(bareContext(environment, device)),
        device: counting,
        params,
        report: (event) => {
          if (event.kind === 'iteration') [first, second] = [second, {...rows}];
        },
      });
    } finally {
      await device.close();
    }
    return {
      rollout: second.rollout - first.rollout,
      learning: second.learning - first.learning,
      asked: second.asked - first.asked,
      updates: second.updates - first.updates,
    };
  }

  for (const name of Object.keys(cases)) {
    it(`counts what a run of ${name} then does`, async () => {
      const algorithm = algorithms.get(name);
      const config = tuneConfig(algorithm, {...settings, ...cases[name]});
      const plan = await planRun({config, params}, {measure: false});
      const {rollout, learning} = plan.predictions;
      const {asked: _, ...found} = await counted(name, cases[name]);
      expect({rollout, learning, updates: plan.geometry.updates}).to.deep.equal(found);
      expect(plan.predictions.evaluation).to.equal(2 * 4 * 3);
      expect(plan.bytes.optimizer).to.equal(3 * 4 * plan.geometry.trainedParameters);
      expect(plan.time).to.equal(undefined);
    });
  }

  for (const [name, list] of Object.entries(distilling)) {
    for (const options of list) {
      it(`counts what a distillation asks the network in a run of ${name}, ${JSON.stringify(options)}`, async () => {
        const algorithm = algorithms.get(name);
        const config = tuneConfig(algorithm, {...settings, ...options});
        const {predictions} = await planRun({config, params}, {measure: false});
        const found = await counted(name, options);
        expect(predictions.learning + predictions.distillation).to.equal(found.asked);
        expect(predictions.distillation > 0).to.equal(options['distillationWeight'] === 1);
      });
    }
  }
  it('counts what overlapping rollouts hold besides: two policies, and the trajectories of two iterations', async () => {
    for (const name of ['ddpo', 'nft']) {
      const algorithm = algorithms.get(name);
      const planned = (overlapRollouts: boolean) =>
        planRun({config: tuneConfig(algorithm, {...settings, overlapRollouts}), params}, {measure: false});
      const [without, overlapping] = [await planned(false), await planned(true)];
      const vector = 4 * without.geometry.trainedParameters;
      // NFT keeps an old policy besides, as soon as the trained one is not the one that sampled.
      expect(overlapping.bytes.parameters - without.bytes.parameters).to.equal((name === 'nft' ? 3 : 2) * vector);
      expect(overlapping.bytes.trajectories).to.equal(2 * without.bytes.trajectories);
      expect(overlapping.bytes.optimizer).to.equal(without.bytes.optimizer);
      expect(overlapping.predictions).to.deep.equal(without.predictions);
    }
  });

  it('refuses minibatches that do not divide, and names the nearest that do', async () => {
    const refused = async (name: string, options: Readonly<Record<string, unknown>>): Promise<string> => {
      const algorithm = algorithms.get(name);
      const config = tuneConfig(algorithm, {...settings, ...options});
      const error = await rejection(planRun({config, params}, {measure: false}));
      expect(error).to.be.instanceOf(ConfigError);
      return error.message;
    };
    expect(await refused('ddpo', {windowSize: 2, minibatches: 7})).to.equal(
      'minibatches: wanted a divisor of the 48 steps that a pass learns from; got 7; the nearest is 6.',
    );
    expect(await refused('direct', {minibatches: 3})).to.equal(
      'minibatches: wanted a divisor of the 4 prompts that a pass learns from; got 3; the nearest is 2.',
    );
    expect(await refused('ddpo', {promptsPerIteration: 5})).to.match(/^promptsPerIteration: wanted at most 4/);
  });

  it('refuses what memory does not hold, and names what fits', () => {
    const gib = 2 ** 30;
    const bytes = {parameters: gib, optimizer: gib, trajectories: 8 * gib, machine: 10 * gib};
    expect(() => checkMemory({promptsPerIteration: 16}, bytes)).to.throw(
      ConfigError,
      'promptsPerIteration: the trajectories of 16 prompts take 8.0 GiB, of which 6.0 GiB fit; the nearest that fits is 12.',
    );
    expect(() => checkMemory({promptsPerIteration: 12}, {...bytes, trajectories: 6 * gib})).not.to.throw();
    expect(() => checkMemory({promptsPerIteration: 1}, bytes)).to.throw(ConfigError, 'lower samplesPerPrompt or samplingSteps');
  });

  it('rlft plan measures, prints, and leaves nothing behind', async () => {
    const policy = join(folder(), 'toy.safetensors');
    await writeWeights(policy, params);
    const {evaluation: _, ...flat} = settings;
    const words = Object.entries({...flat, policy}).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
    const json = await runCommand(['plan', 'ddpo', ...words, '--json']);
    expect(json.code, json.stderr).to.equal(0);
    const {time, bytes} = JSON.parse(json.stdout) as {time: Record<string, number>; bytes: Record<string, number>};
    expect(bytes['machine']).to.equal(totalmem());
    expect(time['iterations']).to.equal(2);
    expect(time['runSeconds']).to.be.closeTo(2 * (time['rolloutSeconds'] + time['updateSeconds']), 1e-9);
    expect(time['rolloutSeconds']).to.be.above(0);
    const text = await runCommand(['plan', 'ddpo', ...words, '--no-measure']);
    expect(text.code, text.stderr).to.equal(0);
    expect(text.stdout).to.match(/^4 prompts × 6 samples = 24 clips an iteration/);
    expect(text.stdout).to.match(/\nan iteration: \d+ predictions in 1 rollout batch, \d+ with gradient/);
    expect(text.stdout).not.to.include('measured');
    expect(text.stdout).not.to.include('guidance');
    const guided = await runCommand(['plan', 'ddpo', ...words, '--no-measure', '--guidance-scale', '2']);
    expect(guided.stdout).to.include('guidance: every prediction is two passes, in rollouts and in updates, so twice the time');
  });
});
