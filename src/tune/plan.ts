/** What a run would do, need and take, without running it. */
import {totalmem} from 'node:os';
import type {ConfiguredAlgorithm} from '../algorithm.js';
import {ConfigError} from '../errors.js';
import {ANCHOR_SHARE} from '../learn/passes.js';
import {createGenerator, type GenerateRequest} from '../rollout/generate.js';
import type {PolicyPacking} from '../rollout/residentPolicy.js';
import {openWorldClips} from '../rollout/worldClips.js';
import {iterations, requestsOf, type TrainParts} from '../train.js';
import {iterationsIn} from './budget.js';
import type {Geometry} from './events.js';
import {withOpenRun, type OpenRun, type TuneRequest} from './open.js';
import type {TuneConfig} from './schema.js';
import {makeLearner, prepare, trainPartsOf} from './tune.js';

/** Part of the machine's memory that a plan may use; the rest is the system's and the runtime's. */
const MEMORY_SHARE = 0.8;

/** What a run would do. */
export interface Plan {
  readonly geometry: Geometry;
  /** Rollout batches of an iteration. */
  readonly rolloutBatches: number;
  /** Predictions of the network, clip by clip; with guidance each is two passes. */
  readonly predictions: {
    /** Of an iteration's rollouts, without gradient. */
    readonly rollout: number;
    /** Of an iteration's updates, with gradient: steps learnt from, last steps that are held, jumps that are distilled. */
    readonly learning: number;
    /** Of an iteration's updates, without gradient: the teacher's and the target's of a consistency distillation. */
    readonly distillation: number;
    /** Of the two held-out evaluations of the whole run. */
    readonly evaluation: number;
    /** Of one look of the monitor. */
    readonly look: number;
  };
  /** What is held for the whole run or for an iteration, in bytes; the runtime's own buffers come on top. */
  readonly bytes: {
    /**
     * Trained weights, their average and the starting policy; the old policy where one is kept; the two that sample and have sampled,
     * where rollouts overlap updates.
     */
    readonly parameters: number;
    /** Gradient and the two moments of AdamW. */
    readonly optimizer: number;
    readonly trajectories: number;
    /** Of the machine. */
    readonly machine: number;
  };
  /** Left out where nothing was to be measured. */
  readonly time?: {
    readonly rolloutSeconds: number;
    readonly updateSeconds: number;
    /** Of the whole run, evaluations left out. */
    readonly iterations: number;
    readonly runSeconds: number;
  };
}

/** Options of {@link planRun}. */
export interface PlanOptions {
  /** Runs one rollout batch and the updates on it, twice: once to compile, once to measure. */
  readonly measure: boolean;
}

/**
 * Plans a run.
 *
 * @throws ConfigError, naming the nearest setting that does, if updates do not divide what is learnt from, or memory does not hold
 * the run; and as `withOpenRun`.
 */
export const planRun = (
  request: Pick<TuneRequest, 'config' | 'algorithm' | 'environment' | 'reward' | 'params'>,
  {measure}: PlanOptions,
): Promise<Plan> => withOpenRun(request, (open) => planOf(open, request.config, measure));

async function planOf(open: OpenRun, config: TuneConfig, measure: boolean): Promise<Plan> {
  const {environment, device} = open;
  const {pool, layout, tables, geometry} = prepare(open);
  const bytes = bytesOf(geometry, (open.algorithm.keepsOld ? 1 : 0) + (config.overlapRollouts ? 2 : 0), layout);
  checkMemory(config, bytes);
  const clips = open.algorithm.clips && openWorldClips(environment, device, layout, open.algorithm.clips);
  const learner = await makeLearner(open, layout, tables);
  try {
    const generate = createGenerator(environment, device, layout, tables.density, config.guidanceScale);
    const parts = trainPartsOf(open, {learner, generate, tables, pool, ...(clips && {clips})});
    const requests = clips ? [] : requestsOf(parts, 0);
    const distilled = distilledOf(config, open.algorithm);
    const held = Math.min(config.monitor.prompts, environment.prompts('heldOut', config.monitor.prompts).length);
    return {
      geometry,
      rolloutBatches: requests.length,
      predictions: {
        rollout: requests.reduce((sum, one) => sum + predictionsOf(one), 0),
        learning: geometry.transitions + anchorsOf(config, geometry) + distilled.gradient,
        distillation: distilled.frozen,
        evaluation: 2 * environment.prompts('heldOut', config.evaluation.prompts).length * config.evaluation.steps,
        look: held * config.monitor.samples * config.evaluation.steps,
      },
      bytes,
      ...(measure && {time: await timeOf(parts, config)}),
    };
  } finally {
    await clips?.close();
    await learner.close();
  }
}

/** Where samples start from one noise, the steps before the first noisy one are taken once a prompt. */
function predictionsOf({prompts, samples, table, sharedStart}: GenerateRequest): number {
  const noisy = table.findIndex(({std}) => std > 0);
  const shared = sharedStart ? (noisy < 0 ? table.length : noisy) : 0;
  return prompts.length * (shared + samples * (table.length - shared));
}

/** Last steps that are held to the starting policy, in every pass. */
function anchorsOf(config: TuneConfig, {transitions, learntSteps}: Geometry): number {
  const {anchorCoefficient, innerEpochs, timestepFraction} = config as Readonly<Record<string, unknown>>;
  if (typeof anchorCoefficient !== 'number' || anchorCoefficient === 0) return 0;
  const passes = Number(innerEpochs);
  const steps = Math.max(1, Math.floor(learntSteps * Number(timestepFraction)));
  return passes * Math.ceil((transitions / passes / steps) * ANCHOR_SHARE);
}

/** What a distillation adds to an iteration, of all the trajectories that are learnt from. */
function distilledOf(
  {promptsPerIteration, samplesPerPrompt}: TuneConfig,
  {work: {distillation, samples = samplesPerPrompt}}: ConfiguredAlgorithm,
): {gradient: number; frozen: number} {
  const clips = promptsPerIteration * Math.min(samples, samplesPerPrompt);
  const {gradient = 0, frozen = 0} = distillation ?? {};
  return {gradient: clips * gradient, frozen: clips * frozen};
}

function bytesOf({trainedParameters, trajectoryBytes}: Geometry, copies: number, {lora}: PolicyPacking): Plan['bytes'] {
  const vector = 4 * trainedParameters;
  // With an adapter the starting policy is the network beneath it.
  const starting = lora ? 4 * lora.base.size : vector;
  return {
    parameters: vector * (2 + copies) + starting,
    optimizer: vector * 3,
    trajectories: trajectoryBytes,
    machine: totalmem(),
  };
}

/**
 * Refuses what the machine does not hold.
 *
 * @throws ConfigError naming the prompts that fit.
 */
export function checkMemory(config: Pick<TuneConfig, 'promptsPerIteration'>, bytes: Plan['bytes']): void {
  const free = MEMORY_SHARE * bytes.machine - bytes.parameters - bytes.optimizer;
  if (bytes.trajectories <= free) return;
  const {promptsPerIteration} = config;
  const fits = Math.floor(free / (bytes.trajectories / promptsPerIteration));
  const gibibytes = (n: number): string => `${(n / 2 ** 30).toFixed(1)} GiB`;
  throw new ConfigError(
    fits < 1
      ? `memory: the trajectories of one prompt and the weights want more than ${gibibytes(MEMORY_SHARE * bytes.machine)} of the machine's ${gibibytes(bytes.machine)}; lower samplesPerPrompt or samplingSteps.`
      : `promptsPerIteration: the trajectories of ${promptsPerIteration} prompts take ${gibibytes(bytes.trajectories)}, of which ${gibibytes(free)} fit; the nearest that fits is ${fits}.`,
  );
}

/** Measures one rollout batch and the updates on it, and scales it to an iteration. */
async function timeOf(parts: TrainParts, config: TuneConfig): Promise<NonNullable<Plan['time']>> {
  const {promptsPerBatch, algorithm, promptsPerIteration} = parts;
  const unit = {...parts, promptsPerIteration: Math.min(promptsPerIteration, promptsPerBatch)};
  // Clips of the world are not counted in prompts: that is a whole iteration.
  const scale = parts.clips ? 1 : promptsPerIteration / unit.promptsPerIteration;
  let [rolloutSeconds, updateSeconds] = [0, 0];
  let done = 0;
  for await (const {metrics} of iterations(unit, {iteration: 0, memory: algorithm.initialMemory, metrics: {}})) {
    [rolloutSeconds, updateSeconds] = [metrics['time/rolloutSeconds'] * scale, metrics['time/updateSeconds'] * scale];
    if (++done === 2) break;
  }
  const each = rolloutSeconds + updateSeconds;
  const count = iterationsIn(config, each);
  return {rolloutSeconds, updateSeconds, iterations: count, runSeconds: count * each};
}
