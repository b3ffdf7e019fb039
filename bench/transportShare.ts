/**
 * What the semantic reward's transport costs of an iteration of `rlft run`: the time to score an iteration's clips with `semantic` and
 * with `matching`, the same encoder and head without the plans, in turn; and the iterations themselves, with their default settings.
 */
import {ddpo} from '../algorithms/ddpo.js';
import {nft} from '../algorithms/nft.js';
import type {ConfiguredAlgorithm, TrainState} from '../src/algorithm.js';
import {environments, rewards} from '../src/builtins.js';
import type {Device} from '../src/engine/device.js';
import {openOrtDevice} from '../src/engine/ortDevice.js';
import type {Environment} from '../src/environment.js';
import {createLearner} from '../src/learn/learner.js';
import {samplerTables} from '../src/numeric/samplers/named.js';
import type {Reward} from '../src/reward.js';
import {resolveReward} from '../src/rewards/resolveReward.js';
import {createGenerator} from '../src/rollout/generate.js';
import {packPolicyFor} from '../src/rollout/residentPolicy.js';
import type {Params} from '../src/tensor/tree.js';
import {iterations} from '../src/train.js';
import {readPolicy} from '../src/tune/policyWeights.js';
import {rewardContext, unturned} from '../src/tune/rewardContext.js';
import {microbatchFor} from '../src/tune/tune.js';
import {emit, repeat, THREADS, type Took} from './measure.js';

const [PROMPTS, SAMPLES, STEPS, BATCH] = [8, 8, 8, 32];
const ROUNDS = 6;

/** An iteration with the settings that `ddpo` and `nft` have by default. */
async function iterationOf(
  {environment, device, params}: {environment: Environment; device: Device; params: Params},
  algorithm: ConfiguredAlgorithm,
  reward: Reward,
): Promise<() => Promise<void>> {
  const layout = packPolicyFor(environment, params);
  const tables = samplerTables('flowSde', STEPS, 0.7);
  const learner = await createLearner({
    environment,
    device,
    layout,
    loss: algorithm.loss,
    scalars: algorithm.scalars,
    optimizer: algorithm.optimizer,
    density: tables.density,
    guidanceScale: 1,
    microbatch: microbatchFor(layout),
    keepsOld: algorithm.keepsOld ?? false,
    reference: params,
  });
  const states = iterations(
    {
      environment,
      algorithm,
      reward,
      learner,
      generate: createGenerator(environment, device, layout, tables.density, 1),
      tables,
      seed: 0,
      pool: environment.prompts('train', 512),
      promptsPerIteration: PROMPTS,
      samplesPerPrompt: SAMPLES,
      promptsPerBatch: BATCH / SAMPLES,
      parityBound: 1e-6,
    },
    {iteration: 0, memory: algorithm.initialMemory, metrics: {}} satisfies TrainState,
  );
  return async () => void (await states.next());
}

/** Measures one preset. */
export async function benchTransportShare(preset: string): Promise<void> {
  const environment = environments.get('fluentClips').open(preset);
  const {params} = await readPolicy(environment, 'shipped');
  const device = await openOrtDevice('cpu', {provider: 'cpu', threads: THREADS}, {});
  const open = async (reward: string): Promise<Reward> => {
    const context = rewardContext(environment, device, {...unturned, reward});
    return (await resolveReward(reward, rewards)).open(context.context);
  };
  const generate = createGenerator(environment, device, packPolicyFor(environment, params), 'gaussian', 1);
  const layout = packPolicyFor(environment, params);
  const learner = await createLearner({
    environment,
    device,
    layout,
    ...ddpo.configure(ddpo.options.parse({})),
    density: 'gaussian',
    guidanceScale: 1,
    microbatch: BATCH,
    reference: params,
  });
  const {videos, prompts} = await generate(learner.policy, {
    prompts: environment.prompts('train', BATCH / SAMPLES),
    samples: SAMPLES,
    table: samplerTables('flowSde', STEPS, 0.7).deterministic,
    seed: 0,
    iteration: 0,
    purpose: 'bench',
    sharedStart: false,
  });
  // An iteration scores its clips in batches as they are rolled out.
  const batches = (PROMPTS * SAMPLES) / BATCH;
  const scoring = await Promise.all(['semantic', 'matching'].map(async (name) => [name, await open(name)] as const));
  const took: Record<string, Took[]> = {};
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, reward] of scoring) {
      const times = await repeat(1, 0, async () => {
        for (let i = 0; i < batches; i++) await reward.score(videos, prompts);
      });
      if (round > 0) (took[name] ??= []).push(...times);
    }
  }
  const both = await open('quality + semantic');
  const algorithms = {ddpo: ddpo.configure(ddpo.options.parse({})), nft: nft.configure(nft.options.parse({}))};
  const whole: Record<string, Took[]> = {};
  for (const [name, algorithm] of Object.entries(algorithms))
    whole[name] = await repeat(3, 1, await iterationOf({environment, device, params}, algorithm, both));
  const least = (times: readonly Took[]): number => Math.min(...times.map(({cpu}) => cpu));
  const transport = least(took['semantic']) - least(took['matching']);
  for (const [name, times] of Object.entries(took)) emit(`score-${name}/${preset}`, times, {batch: BATCH * batches});
  for (const [name, times] of Object.entries(whole))
    emit(`${name}-run/${preset}`, times, {transportShare: Number((transport / least(times)).toFixed(4))});
  await device.close();
  process.exit(0);
}
