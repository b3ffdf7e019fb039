/**
 * `npm run bench -- direct-memory/mini`: peak memory and time of the updates of direct reward backpropagation, by the steps with gradient, the
 * sampler's steps and recomputation. Every line is a process of its own, since a process never gives its peak back.
 */
import {spawnSync} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {lastValueFrom, of} from 'rxjs';
import {direct} from '../algorithms/direct.js';
import {environments, rewards} from '../src/builtins.js';
import {openOrtDevice} from '../src/engine/ortDevice.js';
import {createLearner} from '../src/learn/learner.js';
import {samplerTables} from '../src/numeric/samplers/named.js';
import {resolveReward} from '../src/rewards/resolveReward.js';
import {createGenerator} from '../src/rollout/generate.js';
import {packPolicyFor} from '../src/rollout/residentPolicy.js';
import {readPolicy} from '../src/tune/policyWeights.js';
import {rewardContext, unturned} from '../src/tune/rewardContext.js';
import {emit, microOr, repeat, THREADS} from './measure.js';

const SAMPLES = 4;
const REWARD = 'quality + semantic';

/** One line of the table. */
interface Case {
  readonly variant: string;
  readonly gradientSteps: number;
  readonly samplingSteps: number;
  readonly recompute: boolean;
}

const draftK = (gradientSteps: number, samplingSteps: number): Omit<Case, 'recompute'> => ({
  variant: 'draftK',
  gradientSteps,
  samplingSteps,
});
const CASES = [
  {variant: 'oneStep', gradientSteps: 1, samplingSteps: 8},
  ...[1, 2, 4, 8].map((k) => draftK(k, 8)),
  ...[4, 16].map((steps) => draftK(2, steps)),
  {variant: 'drTune', gradientSteps: 4, samplingSteps: 8},
].flatMap((c) => [false, true].map((recompute): Case => ({...c, recompute})));

/** Measures all cases, one process after the other. */
export function benchDirectMemory(preset: string): Promise<void> {
  for (const c of CASES) {
    const args = [...process.execArgv, fileURLToPath(import.meta.url), preset, JSON.stringify(c)];
    const {status} = spawnSync(process.execPath, args, {stdio: 'inherit'});
    if (status !== 0) throw new Error(`bench: direct-memory/${preset} ${JSON.stringify(c)} ended with ${status}.`);
  }
  return Promise.resolve();
}

/** Updates on one rollout, as `rlft run direct` makes them. */
async function measure(preset: string, {samplingSteps, ...options}: Case): Promise<void> {
  const environment = environments.get('fluentClips').open(preset);
  const algorithm = direct.configure(
    direct.options.parse({...options, distillationWeight: options.variant === 'oneStep' ? 10 : 0}),
  );
  const {params} = await readPolicy(environment, 'shipped');
  const device = await openOrtDevice('cpu', {provider: 'cpu', threads: THREADS}, {});
  const context = rewardContext(environment, device, {...unturned, reward: REWARD});
  const reward = await (await resolveReward(REWARD, rewards)).open(context.context);
  const layout = packPolicyFor(environment, params);
  const tables = samplerTables('flowSde', samplingSteps, 0.7);
  const microbatch = microOr(32);
  const learner = await createLearner({
    environment,
    device,
    layout,
    loss: algorithm.loss,
    scalars: algorithm.scalars,
    optimizer: algorithm.optimizer,
    density: tables.density,
    guidanceScale: 1,
    microbatch,
    reference: params,
    reward: reward.differentiable!,
  });
  const trajectories = await createGenerator(
    environment,
    device,
    layout,
    tables.density,
    1,
  )(learner.acting, {
    prompts: environment.prompts('train', microbatch / SAMPLES),
    samples: SAMPLES,
    table: tables.deterministic,
    seed: 0,
    iteration: 0,
    purpose: 'rollout',
    sharedStart: false,
  });
  const scored = {trajectories, rewards: new Float32Array(microbatch)};
  const before = process.memoryUsage.rss();
  const state = {iteration: 0, memory: null, metrics: {}};
  const update = async (): Promise<void> => {
    await lastValueFrom(algorithm.learn(of(scored), state, {learner, seed: 0, reward: reward.differentiable!}));
  };
  const times = await repeat(3, 1, update);
  emit(`direct-memory/${preset}`, times, {
    clips: microbatch,
    ...options,
    samplingSteps,
    rss_before_mb: Math.round(before / 2 ** 20),
  });
  await learner.close();
  await reward.close?.();
  await context.close();
  await device.close();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await measure(process.argv[2], JSON.parse(process.argv[3]) as Case);
