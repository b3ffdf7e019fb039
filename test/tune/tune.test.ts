/** Runs in folders: what they leave, how they break off, and that they go on as if nothing had been. */
import {expect} from 'chai';
import {readFileSync, readdirSync} from 'node:fs';
import {join} from 'node:path';
import {mergeMap, throwError} from 'rxjs';
import {ddpo} from '../../algorithms/ddpo.js';
import {direct} from '../../algorithms/direct.js';
import {dpo} from '../../algorithms/dpo.js';
import {grpo} from '../../algorithms/grpo.js';
import {nft} from '../../algorithms/nft.js';
import {sft} from '../../algorithms/sft.js';
import {fluentClips} from '../../environments/fluentClips/fluentClips.js';
import {gaussianToy} from '../../environments/gaussianToy.js';
import {brightness} from '../../rewards/brightness.js';
import {nearTarget} from '../../rewards/nearTarget.js';
import type {Algorithm} from '../../src/algorithm.js';
import {algorithms} from '../../src/builtins.js';
import type {Device} from '../../src/engine/device.js';
import {openDevice} from '../../src/engine/devices.js';
import type {Environment} from '../../src/environment.js';
import {ConfigError, NonFiniteError} from '../../src/errors.js';
import type {RewardModule} from '../../src/reward.js';
import {listCheckpoints, loadCheckpoint} from '../../src/run/checkpoint.js';
import {readMetrics} from '../../src/run/metrics.js';
import {createRunFolder, runFolder, type RunFolder} from '../../src/run/runFolder.js';
import type {RunSummary} from '../../src/run/summary.js';
import {readWeights, writeWeights} from '../../src/run/weights.js';
import {composeReward} from '../../src/rewards/composeReward.js';
import {packPolicyFor} from '../../src/rollout/residentPolicy.js';
import {runTuning} from '../../src/tune/open.js';
import {tuneConfig, type TuneConfig} from '../../src/tune/schema.js';
import {bareContext} from '../support/bareContext.js';
import {rejection, temporaryFolder} from '../support/files.js';
import {noisyWeights} from '../support/nano.js';
import {runCommand} from '../support/runCommand.js';
import {tuneRun, type TuneRun} from '../support/tuneRun.js';

const nano = fluentClips('nano');
const worlds = {
  gaussianToy: {environment: gaussianToy(), params: gaussianToy().initialise(0)},
  fluentClips: {environment: nano, params: noisyWeights(nano)},
};
const settings = {
  reward: 'nearTarget',
  threads: 1,
  promptsPerIteration: 2,
  samplesPerPrompt: 4,
  samplingSteps: 4,
  evaluation: {prompts: 4, steps: 3},
  sampleEvery: 0,
  checkpointEvery: 2,
  checkpointKeep: 20,
  // Two updates an iteration, clipped, so that everything which a checkpoint must hold matters.
  innerEpochs: 2,
  clipRange: 0.1,
  klCoefficient: 0.1,
  learningRate: 0.01,
};

const configOf = (environment: Environment, change: Readonly<Record<string, unknown>>): TuneConfig =>
  tuneConfig(ddpo, {...settings, environment: environment.name, preset: environment.preset, ...change});
const toy = worlds.gaussianToy.environment;

describe('tune', function () {
  this.timeout(120_000);
  const folder = temporaryFolder();
  const fresh = (name: string): Promise<RunFolder> => createRunFolder(join(folder(), name), {force: false});

  let device: Device;
  before(async () => {
    device = await openDevice('cpu', {threads: 1});
  });
  after(() => device.close());

  /** What a run here may differ in. */
  interface Change extends Partial<Pick<TuneRun, 'config' | 'resume' | 'signal' | 'algorithm' | 'stopAfter'>> {
    readonly world?: keyof typeof worlds;
    readonly reward?: RewardModule;
  }

  /** Runs in a world, without a judge. */
  async function run(folder: RunFolder, iterations: number, change: Change = {}): Promise<RunSummary> {
    const {world = 'gaussianToy', reward = nearTarget, algorithm = algorithms.get('ddpo'), config: given, ...how} = change;
    const {environment, params} = worlds[world];
    const config = given ?? configOf(environment, {iterations});
    return tuneRun({
      ...how,
      config,
      folder,
      environment,
      algorithm,
      reward: await reward.open(bareContext(environment, device)),
      device,
      params,
    });
  }

  /** Asserts that two folders hold the same end: weights to the byte, the newest checkpoint to the bit, the same metrics. */
  async function expectSameEnd(one: RunFolder, two: RunFolder): Promise<void> {
    const weights = (f: RunFolder): Buffer => readFileSync(join(f.path, 'policy.safetensors'));
    expect(weights(one).equals(weights(two)), 'policy.safetensors').to.equal(true);
    const newest = async (f: RunFolder) => {
      const {state, meta, iteration} = await loadCheckpoint((await listCheckpoints(f.checkpoints))[0].path);
      const {learnSeconds, ...rest} = meta as Record<string, unknown>;
      expect(learnSeconds).to.be.a('number');
      return {state, meta: rest, iteration};
    };
    expect(await newest(one)).to.deep.equal(await newest(two));
    const rows = async (f: RunFolder) =>
      (await readMetrics(f.metrics)).map((row) => Object.entries(row).filter(([name]) => !name.startsWith('time/')));
    expect(await rows(one)).to.deep.equal(await rows(two));
  }

  const iterationsIn = async (f: RunFolder): Promise<number[]> => (await listCheckpoints(f.checkpoints)).map((c) => c.iteration);
  const summaryIn = (f: RunFolder): RunSummary => JSON.parse(readFileSync(f.summary, 'utf8')) as RunSummary;

  /** `nearTarget`, which fails in its own way in the given training iteration. */
  const failingIn = (iteration: number, fail: (scores: Float32Array) => Float32Array): RewardModule => ({
    ...nearTarget,
    open: async (context) => {
      const reward = await nearTarget.open(context);
      let calls = 0;
      return {
        ...reward,
        score: async (videos, prompts) => {
          const scores = await reward.score(videos, prompts);
          const training = prompts[0].id.startsWith('train') && ++calls === iteration;
          return training ? fail(scores) : scores;
        },
      };
    },
  });

  for (const world of ['gaussianToy', 'fluentClips'] as const) {
    it(`goes on after Ctrl-C as if nothing had been, bit for bit (${world})`, async () => {
      const [whole, broken] = [await fresh('whole'), await fresh('broken')];
      expect((await run(whole, 4, {world})).status).to.equal('done');
      const stopped = await run(broken, 4, {world, stopAfter: 3});
      expect(stopped).to.include({status: 'interrupted', iterations: 3});
      expect(summaryIn(broken)).to.deep.equal({...stopped});
      expect(await iterationsIn(broken)).to.deep.equal([3, 2]);
      const resumed = await run(broken, 4, {world, resume: true});
      expect(resumed).to.include({status: 'done', iterations: 4});
      await expectSameEnd(whole, broken);
    });
  }

  it('goes on with what GRPO remembers, its multipliers and its penalty, bit for bit', async () => {
    const reward = composeReward('brightness + nearTarget', [brightness, nearTarget]);
    const config = tuneConfig(grpo, {
      ...settings,
      environment: toy.name,
      preset: toy.preset,
      reward: reward.name,
      iterations: 4,
      objective: 'guard',
      combination: 'constrained',
      floors: {nearTarget: -0.05},
      klTarget: 1e-3,
      windowSize: 2,
      windowFrom: 0,
      windowMove: 'sliding',
      windowDwell: 2,
      bestOf: 3,
    });
    const algorithm = algorithms.get('grpo');
    const [whole, broken] = [await fresh('whole'), await fresh('broken')];
    await run(whole, 4, {config, algorithm, reward});
    const rows = await readMetrics(whole.metrics);
    const changing = ['policy/multiplier/nearTarget', 'policy/klCoefficient'];
    for (const name of changing) expect(new Set(rows.map((row) => row[name])).size, name).to.equal(4);
    await run(broken, 4, {config, algorithm, reward, stopAfter: 3});
    await run(broken, 4, {config, algorithm, reward, resume: true});
    await expectSameEnd(whole, broken);
  });

  it('goes on with an old policy that lags behind the trained one, bit for bit', async () => {
    const {innerEpochs, learningRate, klCoefficient, clipRange: _, ...common} = settings;
    const where = {environment: 'gaussianToy', preset: 'pixel', iterations: 4};
    const config = tuneConfig(nft, {...common, ...where, innerEpochs, learningRate, klCoefficient, oldPolicy: 'lagging'});
    const change = {config, algorithm: nft as Algorithm};
    const [whole, broken] = [await fresh('whole'), await fresh('broken')];
    await run(whole, 4, change);
    await run(broken, 4, {...change, stopAfter: 3});
    const {state} = await loadCheckpoint((await listCheckpoints(broken.checkpoints))[0].path);
    expect(state['old']).not.to.deep.equal(state['trained']);
    await run(broken, 4, {...change, resume: true});
    await expectSameEnd(whole, broken);
  });

  it('dpo goes on in the middle of a falling learning rate, with the policy that samples offline, bit for bit', async () => {
    const {innerEpochs, learningRate, klCoefficient: _, clipRange: __, ...common} = settings;
    const where = {environment: 'gaussianToy', preset: 'pixel', iterations: 4};
    const course = {warmup: 3, schedule: 'cosine', scheduleUpdates: 8};
    const config = tuneConfig(dpo, {...common, ...where, ...course, innerEpochs, learningRate, oldPolicy: 'frozen', beta: 10});
    const change = {config, algorithm: dpo as Algorithm};
    const [whole, broken] = [await fresh('whole'), await fresh('broken')];
    await run(whole, 4, change);
    await run(broken, 4, {...change, stopAfter: 3});
    await run(broken, 4, {...change, resume: true});
    await expectSameEnd(whole, broken);
    const {state} = await loadCheckpoint((await listCheckpoints(broken.checkpoints))[0].path);
    expect(state['old']).not.to.deep.equal(state['trained']);
  });

  it('sft goes on with the next clips, bit for bit, and scores nothing while it learns', async () => {
    const frame = {threads: 1, evaluation: {prompts: 4, steps: 3}, sampleEvery: 0, checkpointEvery: 2, checkpointKeep: 20};
    const where = {environment: 'fluentClips', preset: 'nano', reward: 'nearTarget', iterations: 4};
    const config = tuneConfig(sft, {...frame, ...where, clipsPerIteration: 4});
    const scored: string[] = [];
    const reward: RewardModule = {
      ...nearTarget,
      open: async (context) => {
        const opened = await nearTarget.open(context);
        return {
          ...opened,
          score: (videos, prompts) => {
            scored.push(...prompts.map(({id}) => id));
            return opened.score(videos, prompts);
          },
        };
      },
    };
    const change = {world: 'fluentClips', config, algorithm: sft as Algorithm, reward} as const;
    const [whole, broken] = [await fresh('whole'), await fresh('broken')];
    await run(whole, 4, change);
    await run(broken, 4, {...change, stopAfter: 3});
    await run(broken, 4, {...change, resume: true});
    await expectSameEnd(whole, broken);
    const heldOut = new Set(nano.prompts('heldOut', 4).map(({id}) => id));
    expect(scored.length).to.be.above(0);
    expect(scored.filter((id) => !heldOut.has(id))).to.deep.equal([]);
  });

  it('direct goes on after Ctrl-C as if nothing had been, bit for bit', async function () {
    this.timeout(300_000);
    const world = 'fluentClips';
    const {innerEpochs: _, clipRange: __, klCoefficient: ___, ...frame} = settings;
    // Random steps with gradient, random times and a target that is the averaged policy: all that a checkpoint must hold.
    const distilled = {distillationWeight: 10, distillationTarget: 'average'};
    const options = {variant: 'alignProp', gradientSteps: 2, minibatches: 2, learningRate: 0.01, ...distilled};
    const config = tuneConfig(direct, {...frame, ...options, environment: world, preset: 'nano', iterations: 4});
    const given = {world, algorithm: direct, config} as const;
    const [whole, broken] = [await fresh('whole'), await fresh('broken')];
    expect((await run(whole, 4, given)).status).to.equal('done');
    expect(await run(broken, 4, {...given, stopAfter: 3})).to.include({status: 'interrupted', iterations: 3});
    expect(await run(broken, 4, {...given, resume: true})).to.include({status: 'done', iterations: 4});
    await expectSameEnd(whole, broken);
    const rows = await readMetrics(whole.metrics);
    expect(rows.every((row) => !('policy/ratioGap' in row) && Number.isFinite(row['policy/distillation']))).to.equal(true);
  });

  it('does not train a finished run again, and goes on when the budget is raised', async () => {
    const [whole, extended] = [await fresh('whole'), await fresh('extended')];
    await run(whole, 4);
    await run(extended, 2);
    expect((await run(extended, 2, {resume: true})).iterations).to.equal(2);
    expect(await readMetrics(extended.metrics)).to.have.length(2);
    await run(extended, 4, {resume: true});
    await expectSameEnd(whole, extended);
  });

  const {innerEpochs: _e, clipRange: _c, klCoefficient: _k, ...forNft} = settings;
  const nftOn = (options: Readonly<Record<string, unknown>>): Change => ({
    config: tuneConfig(nft, {
      ...forNft,
      environment: toy.name,
      preset: toy.preset,
      iterations: 4,
      overlapRollouts: true,
      ...options,
    }),
    algorithm: nft,
  });
  const overlapping = configOf(toy, {iterations: 4, overlapRollouts: true});
  for (const [title, change] of Object.entries<Change>({
    'of the trained policy': {config: overlapping},
    'of an old policy that lags behind': nftOn({oldPolicy: 'lagging', innerEpochs: 2}),
    'of an old policy that is kept for them alone': nftOn({}),
  })) {
    it(`goes on with overlapping rollouts ${title}, bit for bit`, async () => {
      const [whole, broken] = [await fresh('whole'), await fresh('broken')];
      await run(whole, 4, change);
      expect(await run(broken, 4, {...change, stopAfter: 3})).to.include({status: 'interrupted', iterations: 3});
      const {state} = await loadCheckpoint((await listCheckpoints(broken.checkpoints))[0].path);
      expect(state['acting']).not.to.deep.equal(state['trained']);
      await run(broken, 4, {...change, resume: true});
      await expectSameEnd(whole, broken);
    });
  }

  it('goes on with rollouts that overlap updates when the budget is raised, bit for bit', async () => {
    const [whole, extended] = [await fresh('whole'), await fresh('extended')];
    await run(whole, 4, {config: overlapping});
    await run(extended, 2, {config: configOf(toy, {iterations: 2, overlapRollouts: true})});
    await run(extended, 4, {config: overlapping, resume: true});
    await expectSameEnd(whole, extended);
  });

  it('keeps what samples of the last iteration when the next one fails, and goes on from it', async () => {
    const [whole, failed, poisoned] = [await fresh('whole'), await fresh('failed'), await fresh('poisoned')];
    await run(whole, 4, {config: overlapping});
    let learnt = 0;
    // Fails before the first update of iteration 4, when what samples has already moved on.
    const algorithm = {
      ...ddpo,
      configure: (options: never) => {
        const configured = ddpo.configure(options);
        const learn: typeof configured.learn = (...given) =>
          ++learnt === 4 ? throwError(() => new NonFiniteError('update 7: the loss is NaN')) : configured.learn(...given);
        return {...configured, learn};
      },
    } as Algorithm;
    expect((await rejection(run(failed, 4, {config: overlapping, algorithm}))).message).to.include('update 7');
    // Is NaN while iteration 3 learns, which is kept.
    const reward = failingIn(4, (scores) => scores.map(() => NaN));
    expect((await rejection(run(poisoned, 4, {config: overlapping, reward}))).message).to.match(/^reward "nearTarget" is NaN/);
    for (const folder_ of [failed, poisoned]) {
      expect(await iterationsIn(folder_)).to.deep.equal([3, 2]);
      await run(folder_, 4, {config: overlapping, resume: true});
      await expectSameEnd(whole, folder_);
    }
  });

  it('overlaps rollouts where the algorithm may learn from those of an older policy, and refuses it by name elsewhere', () => {
    const refused = (algorithm: Algorithm, options: Readonly<Record<string, unknown>>): string => {
      try {
        tuneConfig(algorithm, {overlapRollouts: true, ...options});
      } catch (error) {
        expect(error).to.be.instanceOf(ConfigError);
        return (error as Error).message;
      }
      return 'nothing';
    };
    const wanted = (name: string): string => `wanted false: ${name} does not learn from rollouts of an older policy`;
    for (const algorithm of [direct, sft] as readonly Algorithm[])
      expect(refused(algorithm, {})).to.match(new RegExp(`^settings:1.* overlapRollouts: ${wanted(algorithm.name)}`));
    for (const algorithm of [ddpo, grpo, nft, dpo] as readonly Algorithm[]) expect(refused(algorithm, {})).to.equal('nothing');
    // What one update an iteration makes idle is not so where rollouts are older.
    expect(refused(ddpo, {clipRange: 0.3})).to.equal('nothing');
    expect(refused(grpo, {objective: 'dppo', klThreshold: 0.3})).to.equal('nothing');
    expect(refused(nft, {mixBeta: 0.3})).to.equal('nothing');
    expect(refused(ddpo, {clipRange: 0.3, overlapRollouts: false})).to.include('every ratio is 1');
    expect(refused(nft, {mixBeta: 0.3, overlapRollouts: false})).to.include('let rollouts overlap');
  });

  it('stops before the first iteration on a Ctrl-C that came earlier, with a checkpoint to go on from', async () => {
    const [whole, early] = [await fresh('whole'), await fresh('early')];
    await run(whole, 2);
    const signal = AbortSignal.abort();
    expect(await run(early, 2, {signal})).to.include({status: 'interrupted', iterations: 0});
    expect(await iterationsIn(early)).to.deep.equal([0]);
    await run(early, 2, {resume: true});
    await expectSameEnd(whole, early);
  });

  it('stops by name when a reward is NaN, keeps the last iteration, and goes on from it', async () => {
    const [whole, failed] = [await fresh('whole'), await fresh('failed')];
    await run(whole, 5);
    const reward = failingIn(4, (scores) => scores.map((x, i) => (i === 5 ? NaN : x)));
    const error = await rejection(run(failed, 5, {reward}));
    expect(error).to.be.instanceOf(NonFiniteError);
    expect((error as NonFiniteError).exitCode).to.equal(3);
    expect(error.message).to.match(/^reward "nearTarget" is NaN for prompt "(dark|dim|pale|bright)"; nothing was applied/);
    expect(summaryIn(failed)).to.include({status: 'failed', reason: error.message, iterations: 3});
    expect(await iterationsIn(failed)).to.deep.equal([3, 2]);
    await run(failed, 5, {resume: true});
    await expectSameEnd(whole, failed);
  });

  it('saves nothing of half an iteration: it goes on from the last whole one that was saved', async () => {
    const [whole, half] = [await fresh('whole'), await fresh('half')];
    await run(whole, 5);
    let learnt = 0;
    // Fails after the updates of iteration 4.
    const algorithm = {
      ...ddpo,
      configure: (options: never) => {
        const configured = ddpo.configure(options);
        const lost = () => throwError(() => new NonFiniteError('update 8: the loss is NaN'));
        const learn: typeof configured.learn = (...given) =>
          configured.learn(...given).pipe(mergeMap((state) => (++learnt === 4 ? lost() : [state])));
        return {...configured, learn};
      },
    } as Algorithm;
    expect((await rejection(run(half, 5, {algorithm}))).message).to.include('update 8');
    expect(await iterationsIn(half)).to.deep.equal([2]);
    await run(half, 5, {resume: true});
    await expectSameEnd(whole, half);
  });

  it('stops in the first evaluation when the reward is NaN there, with nothing learnt', async () => {
    const failed = await fresh('failed');
    const reward: RewardModule = {
      ...nearTarget,
      open: async () => ({
        name: 'nearTarget',
        unit: '1',
        score: async (_, prompts) => new Float32Array(prompts.length).fill(NaN),
      }),
    };
    expect(await rejection(run(failed, 5, {reward}))).to.be.instanceOf(NonFiniteError);
    expect(summaryIn(failed)).to.include({status: 'failed', iterations: 0});
    expect(await iterationsIn(failed)).to.deep.equal([0]);
  });

  it('refuses more prompts an iteration than the world trains on', async () => {
    const config = configOf(toy, {iterations: 1, promptsPerIteration: 5});
    const error = await rejection(run(await fresh('many'), 1, {config}));
    expect(error).to.be.instanceOf(ConfigError);
    expect(error.message).to.equal('promptsPerIteration: wanted at most 4, the prompts that gaussianToy trains on; got 5.');
  });

  it('refuses updates of unequal size before anything is computed, and names the nearest number that divides', async () => {
    const config = configOf(toy, {iterations: 1, minibatches: 5});
    const error = await rejection(run(await fresh('unequal'), 1, {config}));
    expect(error).to.be.instanceOf(ConfigError);
    expect(error.message).to.match(
      /^minibatches: wanted a divisor of the \d+ steps that a pass learns from; got 5; the nearest is [46]\.$/,
    );
  });

  it('opens no reward when the device cannot be opened', async () => {
    let opened = false;
    const reward: RewardModule = {...nearTarget, open: (context) => ((opened = true), nearTarget.open(context))};
    const config = configOf(toy, {iterations: 1, device: 'abacus'});
    expect(
      (await rejection(runTuning({config, folder: await fresh('nowhere'), params: worlds.gaussianToy.params, reward}))).message,
    ).to.include('unknown device "abacus"');
    expect(opened).to.equal(false);
  });

  it('closes the reward when the run does not begin', async () => {
    let closed = false;
    const reward: RewardModule = {
      ...nearTarget,
      open: async () => ({
        name: 'nearTarget',
        unit: '1',
        score: async () => new Float32Array(0),
        close: async () => void (closed = true),
      }),
    };
    const algorithm: Algorithm = {...algorithms.get('ddpo'), needs: {differentiableReward: true}};
    const config = configOf(toy, {iterations: 1});
    const request = {config, folder: await fresh('unbegun'), params: worlds.gaussianToy.params, reward, algorithm};
    expect((await rejection(runTuning(request))).message).to.equal(
      'algorithm "ddpo" needs a differentiable reward; "nearTarget" is not.',
    );
    expect(closed).to.equal(true);
  });

  it('refuses a world that does not decode in the graph, and a part of a reward without gradient, by name', async () => {
    const {environment, params} = worlds.gaussianToy;
    const blind: {-readonly [K in keyof Environment]: Environment[K]} = {...environment};
    delete blind.decodeInGraph;
    const config = tuneConfig(direct, {environment: 'gaussianToy', preset: 'pixel', reward: 'nearTarget', iterations: 1});
    const request = {config, folder: await fresh('blind'), params, environment: blind};
    expect((await rejection(runTuning(request))).message).to.equal(
      'algorithm "direct" needs a world that decodes inside the graph; gaussianToy does not (decodeInGraph).',
    );
    const world = {
      ...environment,
      openJudge: () => ({dimensions: [], judge: async () => [], aggregate: () => ({}), close: async () => undefined}),
    };
    const mixed = tuneConfig(direct, {environment: 'gaussianToy', preset: 'pixel', reward: 'nearTarget + judge', iterations: 1});
    expect(
      (await rejection(runTuning({config: mixed, folder: await fresh('mixed'), params, environment: world}))).message,
    ).to.equal('algorithm "direct" needs a differentiable reward; "judge" is not.');
  });

  it('refuses an encoder, a map and a preference model that its reward does not use', async () => {
    for (const key of ['encoder', 'transport', 'preference']) {
      const config = configOf(toy, {iterations: 1, [key]: 'mine.safetensors'});
      const request = {config, folder: await fresh(`idle-${key}`), params: worlds.gaussianToy.params};
      expect((await rejection(runTuning(request))).message).to.equal(
        `${key}: has no effect in this run: the reward "nearTarget" does not use one.`,
      );
    }
  });

  it('raises the reward on held-out prompts, and says so with an interval', async () => {
    const sizes = {promptsPerIteration: 4, samplesPerPrompt: 16, samplingSteps: 6, evaluation: {prompts: 4, steps: 6}};
    const options = {learningRate: 0.03, windowSize: 0, anchorCoefficient: 0, klCoefficient: 0, emaDecay: 0.5};
    const config = configOf(toy, {...sizes, ...options, iterations: 30});
    const summary = await run(await fresh('raised'), 30, {config});
    expect(summary.evaluation).to.include({suite: 'heldOut/4', metric: 'reward/mean'});
    const {before, after, difference} = summary.evaluation!;
    expect(after - before).to.be.closeTo(difference.mean, 1e-9);
    expect(difference.low).to.be.above(0);
    expect(after).to.be.above(-0.03);
  });
});

describe('rlft run ddpo', function () {
  this.timeout(120_000);
  const folder = temporaryFolder();

  it('leaves a whole run folder of fresh nano weights, and goes on in it', async () => {
    const weights = join(folder(), 'fresh.safetensors');
    await writeWeights(weights, nano.initialise(3));
    const where = runFolder(join(folder(), 'run'));
    const words = [
      '--preset',
      'nano',
      '--policy',
      weights,
      '--threads',
      '1',
      '--iterations',
      '2',
      '--prompts-per-iteration',
      '2',
      '--reward',
      'judge',
    ];
    const sizes = ['--samples-per-prompt', '2', '--sampling-steps', '4', '--evaluation-prompts', '2', '--evaluation-steps', '2'];
    const first = await runCommand(['run', 'ddpo', ...words, ...sizes, '--output-dir', where.path, '--json']);
    expect(first.code, first.stderr).to.equal(0);
    expect(JSON.parse(first.stdout)).to.deep.equal(summaryOf(where));
    expect(summaryOf(where)).to.include({status: 'done', iterations: 2, seed: 42});
    const entries = readdirSync(where.path).map((name) => name.replace(/^events\.out\.tfevents\..*/, 'events'));
    expect(entries.sort()).to.deep.equal(
      [
        'README.md',
        'checkpoints',
        'config.yaml',
        'events',
        'metrics.jsonl',
        'policy.safetensors',
        'run.json',
        'samples',
        'summary.json',
      ].sort(),
    );
    expect(readdirSync(where.checkpoints)).to.deep.equal(['00000002.safetensors']);
    expect(readdirSync(where.samples).sort()).to.deep.equal(['00000000.png', '00000000.webp', '00000002.png', '00000002.webp']);
    expect((await readMetrics(where.metrics)).map((row) => row.iteration)).to.deep.equal([1, 2]);
    const {params} = await readWeights(join(where.path, 'policy.safetensors'));
    expect(packPolicyFor(nano, params).trained.size).to.be.above(1000);

    const again = await runCommand(['run', 'ddpo', '--resume', where.path, '--iterations', '3']);
    expect(again.code, again.stderr).to.equal(0);
    expect(summaryOf(where)).to.include({status: 'done', iterations: 3});
    expect((await readMetrics(where.metrics)).map((row) => row.iteration)).to.deep.equal([1, 2, 3]);
  });
});

const summaryOf = (f: RunFolder): RunSummary => JSON.parse(readFileSync(f.summary, 'utf8')) as RunSummary;

describe('rlft run sft', function () {
  this.timeout(120_000);
  const folder = temporaryFolder();

  it('says that nothing is sampled and that the reward is only measured, and shows the loss', async () => {
    const weights = join(folder(), 'fresh.safetensors');
    await writeWeights(weights, nano.initialise(3));
    const where = join(folder(), 'run');
    const words = ['--preset', 'nano', '--policy', weights, '--threads', '1', '--iterations', '1', '--reward', 'brightness'];
    const sizes = ['--clips-per-iteration', '2', '--evaluation-prompts', '2', '--evaluation-steps', '2', '--sample-every', '0'];
    const {code, stderr} = await runCommand(['run', 'sft', ...words, ...sizes, '--output-dir', where]);
    expect(code, stderr).to.equal(0);
    expect(stderr).to.match(
      /^2 clips of the world an iteration, nothing sampled and nothing scored: 2 predictions .* in 1 update$/m,
    );
    expect(stderr).to.include('reward "brightness" is only measured, before and after, and never optimised');
    expect(stderr).to.match(/^iteration 1 {2}loss [\d.]+ {2}norm [\d.]+ {2}100 %$/m);
    await writeWeights(weights, toy.initialise(0));
    const elsewhere = ['--environment', 'gaussianToy', '--preset', 'pixel', '--policy', weights, '--reward', 'brightness'];
    const refused = await runCommand(['run', 'sft', ...elsewhere, '--output-dir', join(folder(), 'refused')]);
    expect(refused.code, refused.stderr).to.equal(2);
    expect(refused.stderr).to.include('gaussianToy does not; use an algorithm that learns from rollouts');
  });
});
