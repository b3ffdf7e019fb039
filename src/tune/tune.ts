/**
 * A fine-tuning run in its folder: evaluate, learn, evaluate again, and write down everything on the way, so that the run can be
 * killed anywhere and taken up again.
 */
import type {ConfiguredAlgorithm, Memory, TrainState} from '../algorithm.js';
import type {Environment, Judge, Prompt} from '../environment.js';
import {ConfigError} from '../errors.js';
import {compare, evaluateSuite, type Comparison, type Suite, type SuiteScores} from '../evaluate/evaluate.js';
import {createLearner, type LearnerSnapshot, type ResidentLearner} from '../learn/learner.js';
import {samplerTables, type SamplerTables} from '../numeric/samplers/named.js';
import type {Reward} from '../reward.js';
import {createGenerator} from '../rollout/generate.js';
import {packPolicyFor, type PolicyPacking} from '../rollout/residentPolicy.js';
import {openWorldClips} from '../rollout/worldClips.js';
import {listCheckpoints, loadForResume, removeDrafts, saveCheckpoint, type Json} from '../run/checkpoint.js';
import {hashParams} from '../run/hashParams.js';
import {openMetrics} from '../run/metrics.js';
import type {RunFolder} from '../run/runFolder.js';
import type {RunConfig} from '../run/runSchema.js';
import {peakMemoryBytes, writeSummary, type RunSummary} from '../run/summary.js';
import {openEvents} from '../run/tensorboard.js';
import {sizeOf} from '../tensor/ndarray.js';
import type {Params} from '../tensor/tree.js';
import {iterations, type TrainParts} from '../train.js';
import type {Device} from '../engine/device.js';
import {geometryOf} from './geometry.js';
import {iterationsIn, spentOf} from './budget.js';
import type {Geometry, TuneEvent} from './events.js';
import {writeModelCard} from './modelCard.js';
import {checkMinibatches} from './minibatches.js';
import {openMonitor} from './monitor.js';
import {pictureWriter} from './pictures.js';
import {saveTuned} from './saveTuned.js';
import {loraOf} from './schema.js';
import {yardstickOf} from './yardstick.js';

/** Prompts that training draws from, the first ones of the split. */
const POOL = 512;
/** Clips of one rollout batch, and most transitions of one microbatch. */
export const DEVICE_BATCH = 32;
/** Transitions of one microbatch of a network with as many parameters as this or more. */
const LARGE = {parameters: 300_000, microbatch: 8};
/**
 * Replayed log-probabilities may differ by this much on average, nats per element. Rollout and replay agree to the bit on one
 * device; latents rounded to half precision differ by 2e-6 and more, and the more the smaller the latent.
 */
const PARITY_BOUND = 1e-6;
/** Evaluations use noise of their own, whatever the run's seed, so that runs can be compared. */
const EVALUATION_SEED = 7;

/** A run, opened: everything that has to be closed again is the caller's. */
export interface TuneParts {
  readonly config: RunConfig;
  readonly folder: RunFolder;
  readonly environment: Environment;
  readonly algorithm: ConfiguredAlgorithm;
  readonly reward: Reward;
  /** Whether the algorithm needs the gradient of the reward, which is then differentiable. Default false. */
  readonly rewardGradient?: boolean;
  /** What measures clips through the encoder that no reward looks through, if the world ships one. Default: nothing does. */
  readonly independent?: Reward | undefined;
  readonly judge: Judge | undefined;
  readonly device: Device;
  /** The weights to start from. */
  readonly params: Params;
  /** Whether they are not those that `config.policy` names. Default false. */
  readonly paramsGiven?: boolean;
  /** Go on from the newest checkpoint instead of starting. */
  readonly resume: boolean;
  readonly signal: AbortSignal;
  /** Told what happens, in order. */
  readonly report: (event: TuneEvent) => void;
  /** A word of caution about the reward, printed at the start. */
  readonly warning?: string;
}

interface Progress {
  readonly state: TrainState;
  readonly learnSeconds: number;
}

/**
 * Runs it. Never rejects for want of budget or on an abort: the summary says how it ended.
 *
 * @throws ConfigError if an iteration wants more prompts than there are: one that is there twice would be sampled with the same
 * noise twice. What a reward, the policy or the disk throws is thrown on, after the last whole iteration was saved.
 */
export async function tune(parts: TuneParts): Promise<RunSummary> {
  const {config, folder, environment, device, params, algorithm, independent, judge, reward, report} = parts;
  const began = performance.now();
  const {pool, layout, tables, geometry} = prepare(parts);
  report({
    kind: 'geometry',
    geometry,
    folder: folder.path,
    device: device.name,
    reward: config.reward,
    ...(parts.warning !== undefined && {warning: parts.warning}),
  });

  // An adapter means nothing without the weights beneath it, which no checkpoint holds.
  const baseHash = layout.lora && hashParams(params);
  const clips = algorithm.clips && openWorldClips(environment, device, layout, algorithm.clips);
  // A run that was killed before its first checkpoint begins again: noise has no state, so it becomes the same run.
  const restored =
    parts.resume && (await listCheckpoints(folder.checkpoints)).length > 0
      ? await restore(folder, algorithm, baseHash)
      : undefined;
  const learner = await makeLearner(parts, layout, tables, restored?.learner);
  const generate = createGenerator(environment, device, layout, tables.density, config.guidanceScale);
  const start = restored?.progress ?? {state: {iteration: 0, memory: algorithm.initialMemory, metrics: {}}, learnSeconds: 0};
  if (parts.resume) report({kind: 'resumed', iteration: start.state.iteration});
  const metrics = await openMetrics(folder.metrics, start.state.iteration);
  const events = await openEvents(folder.path, {completed: start.state.iteration, now: () => Date.now() / 1000});
  if (parts.resume) for (const place of [folder.path, folder.checkpoints, folder.samples]) await removeDrafts(place);

  const suite: Suite = {
    name: `heldOut/${config.evaluation.prompts}`,
    prompts: environment.prompts('heldOut', config.evaluation.prompts),
    steps: config.evaluation.steps,
    seed: EVALUATION_SEED,
  };
  const measure = (policy: ResidentLearner['policy'], when: 'before' | 'during' | 'after'): Promise<SuiteScores> => {
    report({kind: 'evaluating', when, prompts: suite.prompts.length});
    return evaluateSuite(generate, policy, suite, {reward, independent, judge});
  };
  const pictures = pictureWriter({
    folder,
    environment,
    generate,
    learner,
    events,
    steps: config.evaluation.steps,
    seed: EVALUATION_SEED,
  });
  const completed = start.state.iteration;
  const monitor = await openMonitor({
    ...{config, folder, environment, generate, learner, reward},
    yardstick: yardstickOf(reward, judge, independent),
    seed: EVALUATION_SEED,
    completed,
  });
  const summarise = (
    status: RunSummary['status'],
    iterations: number,
    comparisons: readonly Comparison[],
    reason?: string,
  ): RunSummary => {
    const [first, ...others] = comparisons.map((c) => ({suite: suite.name, ...c}));
    return {
      status,
      ...(reason !== undefined && {reason}),
      seed: config.seed,
      wallSeconds: (performance.now() - began) / 1000,
      peakMemoryBytes: peakMemoryBytes(),
      iterations,
      evaluation: first ?? null,
      otherEvaluations: others,
      monitor: monitor.summary(),
    };
  };

  let progress: Progress = start;
  let saved = restored ? start.state.iteration : -1;
  // Where an iteration of several updates broke off, the weights belong to no iteration, and no checkpoint may say so.
  let wholeUpdates = learner.updates;
  const save = async (): Promise<void> => {
    if (saved === progress.state.iteration || learner.updates !== wholeUpdates) return;
    await metrics.sync();
    const {arrays, updates} = await learner.snapshot();
    const {state, learnSeconds} = progress;
    const meta: Json = {updates, memory: state.memory, learnSeconds, ...(baseHash !== undefined && {baseHash})};
    await saveCheckpoint(folder.checkpoints, progress.state.iteration, {state: arrays, meta}, config.checkpointKeep);
    saved = progress.state.iteration;
    await monitor.tidy();
  };
  const finish = async (summary: RunSummary, comparisons: readonly Comparison[]): Promise<RunSummary> => {
    await writeModelCard(parts, geometry, summary);
    await writeSummary(folder.summary, summary);
    report({kind: 'ended', summary, comparisons});
    return summary;
  };

  try {
    const beforeAt = performance.now();
    const before = await measure(learner.reference, 'before');
    const secondsPerClipStep = (performance.now() - beforeAt) / 1000 / (suite.prompts.length * suite.steps);
    report({kind: 'estimate', estimate: estimateOf(config, geometry, secondsPerClipStep)});
    if (start.state.iteration === 0 || isDue(config.sampleEvery, start.state.iteration)) await pictures(start.state.iteration);

    const parts_ = trainPartsOf(parts, {learner, generate, tables, pool, ...(clips && {clips})});
    let last = performance.now();
    const after = async (learnt: TrainState): Promise<void> => {
      const learnSeconds = progress.learnSeconds + (performance.now() - last) / 1000;
      const seen = await monitor.look(learnt.iteration);
      const state = {...learnt, metrics: {...learnt.metrics, ...seen.metrics}};
      progress = {state, learnSeconds};
      wholeUpdates = learner.updates;
      await metrics.append(state.iteration, state.metrics);
      await events.scalars(state.iteration, state.metrics);
      report({kind: 'iteration', iteration: state.iteration, metrics: state.metrics, fraction: fractionOf(config, progress)});
      for (const {message} of seen.alarms) report({kind: 'alarm', iteration: state.iteration, message});
      if (state.iteration % config.checkpointEvery === 0) await save();
      if (isDue(config.sampleEvery, state.iteration)) await pictures(state.iteration);
      const {every} = config.evaluation;
      if (isDue(every, state.iteration)) {
        report({
          kind: 'compared',
          iteration: state.iteration,
          comparisons: compare(before, await measure(learner.averaged, 'during'), judge, config.seed),
        });
      }
      last = performance.now();
    };
    const ended = (): boolean => parts.signal.aborted || fractionOf(config, progress) >= 1 || monitor.stopped;
    if (!ended()) {
      for await (const state of iterations(parts_, start.state, parts.signal)) {
        await after(state);
        if (ended()) break;
      }
    }
    await save();
    await saveTuned(parts, learner, progress.state.iteration);
    if (parts.signal.aborted) return await finish(summarise('interrupted', progress.state.iteration, []), []);
    const comparisons = compare(before, await measure(learner.averaged, 'after'), judge, config.seed);
    await pictures(progress.state.iteration);
    const reason = monitor.stopped ? 'the monitor saw signs of reward hacking (monitor.stop)' : undefined;
    return await finish(summarise('done', progress.state.iteration, comparisons, reason), comparisons);
  } catch (error) {
    // The last good state is worth keeping whatever went wrong; the error itself is the caller's.
    await save().catch(() => undefined);
    await writeSummary(
      folder.summary,
      summarise('failed', progress.state.iteration, [], error instanceof Error ? error.message : String(error)),
    ).catch(() => undefined);
    throw error;
  } finally {
    await metrics.close();
    await events.close();
    await learner.close();
    await clips?.close();
  }
}

/** Whether something happens after this iteration that happens every so many, or never if `every` is 0. */
const isDue = (every: number, iteration: number): boolean => every > 0 && iteration % every === 0;

const fractionOf = (config: RunConfig, {state, learnSeconds}: Progress): number => spentOf(config, state.iteration, learnSeconds);

function estimateOf(
  config: RunConfig,
  geometry: Geometry,
  secondsPerClipStep: number,
): {secondsPerIteration: number; iterations: number; memoryBytes: number} {
  // A backward pass costs about two forward passes, and the evaluation that was timed holds the scoring too.
  const secondsPerIteration = secondsPerClipStep * (geometry.clips * geometry.steps + 3 * geometry.transitions);
  return {
    secondsPerIteration,
    iterations: iterationsIn(config, secondsPerIteration),
    memoryBytes: peakMemoryBytes() + geometry.trajectoryBytes,
  };
}

/** What follows from the settings and the weights alone. */
export interface Prepared {
  /** The prompts that the run trains on. */
  readonly pool: readonly Prompt[];
  readonly layout: PolicyPacking;
  readonly tables: SamplerTables;
  readonly geometry: Geometry;
}

/**
 * Prepares a run, or a plan of it.
 *
 * @throws ConfigError if an iteration wants more prompts than there are, if its updates do not come out even, or if the adapter does
 * not fit the network.
 */
export function prepare(parts: Pick<TuneParts, 'config' | 'environment' | 'algorithm' | 'rewardGradient' | 'params'>): Prepared {
  const {config, environment, algorithm, params, rewardGradient = false} = parts;
  const pool = poolOf(parts);
  const layout = packPolicyFor(environment, params, loraOf(config));
  const tables = samplerTables(config.sampler, config.samplingSteps, config.noiseLevel);
  const geometry = geometryOf(config, algorithm, tables, layout.trained.size, sizeOf(environment.latentShape));
  checkMinibatches(config, geometry, rewardGradient);
  return {pool, layout, tables, geometry};
}

/** The prompts, if there are as many as an iteration wants. */
function poolOf({config, environment, algorithm}: Pick<TuneParts, 'config' | 'environment' | 'algorithm'>): readonly Prompt[] {
  const pool = environment.prompts('train', POOL);
  if (algorithm.clips || config.promptsPerIteration <= pool.length) return pool;
  throw new ConfigError(
    `promptsPerIteration: wanted at most ${pool.length}, the prompts that ${environment.name} trains on; got ${config.promptsPerIteration}.`,
  );
}

/** The parts of the training loop of a run. */
export function trainPartsOf(
  {config, environment, algorithm, reward}: Pick<TuneParts, 'config' | 'environment' | 'algorithm' | 'reward'>,
  made: Pick<TrainParts, 'learner' | 'generate' | 'tables' | 'pool' | 'clips'>,
): TrainParts {
  return {
    environment,
    algorithm,
    reward,
    ...made,
    seed: config.seed,
    promptsPerIteration: config.promptsPerIteration,
    samplesPerPrompt: config.samplesPerPrompt,
    promptsPerBatch: Math.max(1, Math.floor(DEVICE_BATCH / config.samplesPerPrompt)),
    parityBound: PARITY_BOUND,
    overlapRollouts: config.overlapRollouts,
    ...(config.iterations !== undefined && {lastIteration: config.iterations}),
  };
}

/**
 * Transitions of one microbatch. The passes of a small network cost the same however few they are of; those of a large one are bound by
 * memory, and few of them stay in the caches (docs/performance.md, "Clips of one pass").
 */
export const microbatchFor = ({trained, lora}: PolicyPacking): number =>
  (lora?.base ?? trained).size < LARGE.parameters ? DEVICE_BATCH : LARGE.microbatch;

/** The learner of a run, at the beginning or where a snapshot left it. */
export function makeLearner(
  parts: Pick<TuneParts, 'config' | 'environment' | 'algorithm' | 'reward' | 'rewardGradient' | 'device' | 'params'>,
  layout: PolicyPacking,
  tables: SamplerTables,
  from_?: LearnerSnapshot,
): Promise<ResidentLearner> {
  const {environment, device, algorithm, config, params, reward, rewardGradient = false} = parts;
  return createLearner(
    {
      environment,
      device,
      layout,
      loss: algorithm.loss,
      scalars: algorithm.scalars,
      optimizer: algorithm.optimizer,
      density: tables.density,
      guidanceScale: config.guidanceScale,
      microbatch: microbatchFor(layout),
      keepsOld: algorithm.keepsOld ?? false,
      overlapRollouts: config.overlapRollouts,
      reference: params,
      ...(rewardGradient && reward.differentiable && {reward: reward.differentiable}),
    },
    from_,
  );
}

async function restore(
  folder: RunFolder,
  algorithm: ConfiguredAlgorithm,
  baseHash: string | undefined,
): Promise<{learner: LearnerSnapshot; progress: Progress}> {
  const {state, meta, iteration} = await loadForResume(folder.checkpoints);
  const found = meta as {updates?: unknown; memory?: unknown; learnSeconds?: unknown; baseHash?: unknown} | null;
  if (typeof found?.updates !== 'number' || typeof found.learnSeconds !== 'number') {
    throw new ConfigError(`${folder.checkpoints}: the checkpoint is not one of a fine-tuning run.`);
  }
  if (found.baseHash !== baseHash) {
    throw new ConfigError(
      `policy: the weights beneath the adapter in ${folder.checkpoints} are not those that it was trained on; restore them, or begin anew.`,
    );
  }
  return {
    learner: {arrays: state, updates: found.updates},
    progress: {
      state: {iteration, memory: (found.memory as Memory | undefined) ?? algorithm.initialMemory, metrics: {}},
      learnSeconds: found.learnSeconds,
    },
  };
}
