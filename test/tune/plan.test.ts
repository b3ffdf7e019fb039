/** Plans, beside what real runs of the same settings then do. */
import {expect} from 'chai';
import {totalmem} from 'node:os';
import {join} from 'node:path';
import {gaussianToy} from '../../environments/gaussianToy.js';
import {nearTarget} from '../../rewards/nearTarget.js';
import {algorithms} from '../../src/builtins.js';
import type {Device} from '../../src/engine/device.js';
import {ConfigError} from '../../src/errors.js';
import {createRunFolder} from '../../src/run/runFolder.js';
import {writeWeights} from '../../src/run/weights.js';
import type {NdArray} from '../../src/tensor/ndarray.js';
import type {Branch} from '../../src/tensor/tree.js';
import {checkMemory, planRun} from '../../src/tune/plan.js';
import {optionsOf, tuneConfig} from '../../src/tune/schema.js';
import {tune} from '../../src/tune/tune.js';
import {bareContext} from '../support/bareContext.js';
import {rejection, temporaryFolder} from '../support/files.js';
import {runCommand} from '../support/runCommand.js';
import {openTestDevice} from '../support/toy.js';

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

describe('tune/plan', function () {
  this.timeout(120_000);
  const folder = temporaryFolder();

  /** Rows that the network was given in the second iteration of a real run. */
  async function counted(name: string): Promise<{rollout: number; learning: number; updates: number}> {
    const rows = {rollout: 0, learning: 0, updates: 0};
    const device = await openTestDevice();
    const counting: Device = {
      ...device,
      jit: (called, fn) => {
        const run = device.jit(called, fn);
        return (inputs, options) => {
          const rowsOf = (branch: Branch<unknown>): number => (branch['text'] as NdArray).shape[0];
          if (called === 'rollout/step' || called === 'rollout/deterministicStep') rows.rollout += rowsOf(inputs);
          if (called === 'learn/accumulate') rows.learning += rowsOf(inputs['batch'] as Branch<unknown>);
          if (called === 'learn/apply') rows.updates++;
          return run(inputs, options);
        };
      },
    };
    const algorithm = algorithms.get(name);
    const config = tuneConfig(algorithm, {...settings, ...cases[name]});
    let first = {...rows};
    let second = {...rows};
    try {
      await tune({
        config,
        folder: await createRunFolder(join(folder(), 'run'), {force: true}),
        environment: toy,
        algorithm: algorithm.configure(optionsOf(algorithm, config), config),
        reward: await nearTarget.open(bareContext(toy, device)),
        rewardGradient: algorithm.needs.differentiableReward,
        judge: undefined,
        device: counting,
        params,
        resume: false,
        signal: new AbortController().signal,
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
      updates: second.updates - first.updates,
    };
  }

  for (const name of Object.keys(cases)) {
    it(`counts what a run of ${name} then does`, async () => {
      const algorithm = algorithms.get(name);
      const config = tuneConfig(algorithm, {...settings, ...cases[name]});
      const plan = await planRun(algorithm, {config, params}, {measure: false});
      const {rollout, learning} = plan.predictions;
      expect({rollout, learning, updates: plan.geometry.updates}).to.deep.equal(await counted(name));
      expect(plan.predictions.evaluation).to.equal(2 * 4 * 3);
      expect(plan.bytes.optimizer).to.equal(3 * 4 * plan.geometry.trainedParameters);
      expect(plan.time).to.equal(undefined);
    });
  }

  it('counts what overlapping rollouts hold besides: two policies, and the trajectories of two iterations', async () => {
    for (const name of ['ddpo', 'nft']) {
      const algorithm = algorithms.get(name);
      const planned = (overlapRollouts: boolean) =>
        planRun(algorithm, {config: tuneConfig(algorithm, {...settings, overlapRollouts}), params}, {measure: false});
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
      const error = await rejection(planRun(algorithm, {config, params}, {measure: false}));
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
