/** The closed forms of the Gaussian toy, in float64 and apart from its code, and short training runs in it. */
import {lastValueFrom, take, toArray} from 'rxjs';
import {ddpo} from '../../algorithms/ddpo.js';
import {type grpo} from '../../algorithms/grpo.js';
import {gaussianToy, gaussianToyDeviation, gaussianToyMeans} from '../../environments/gaussianToy.js';
import type {Algorithm, ConfiguredAlgorithm} from '../../src/algorithm.js';
import type {Device} from '../../src/engine/device.js';
import type {Environment} from '../../src/environment.js';
import {openOrtDevice} from '../../src/engine/ortDevice.js';
import {createLearner} from '../../src/learn/learner.js';
import {samplerTables, type SamplerName, type SamplerTables} from '../../src/numeric/samplers/named.js';
import type {Transition} from '../../src/numeric/samplers/sampler.js';
import type {Reward} from '../../src/reward.js';
import {createGenerator} from '../../src/rollout/generate.js';
import {packPolicyFor} from '../../src/rollout/residentPolicy.js';
import {openWorldClips} from '../../src/rollout/worldClips.js';
import type {NdArray} from '../../src/tensor/ndarray.js';
import {train, type TrainParts} from '../../src/train.js';

/** Means of the base, one a prompt. */
export const baseMeans = Object.values(gaussianToyMeans);

/** What a table generates from N(0, 1) under the exact policy for N(mu, s²): a normal distribution. */
export interface Generated {
  readonly mean: number;
  readonly variance: number;
  /** ∂mean/∂mu through the noisy steps alone: what a policy gradient sees. */
  readonly noisySlope: number;
  /** Mean over the noisy steps of ∂²KL/∂mu², KL being that of one step. */
  readonly klCurvature: number;
  /** (∂x̂0/∂mu)² at the last step. */
  readonly lastCurvature: number;
  readonly noisySteps: number;
}

/**
 * Follows mean and variance through the table; every step is affine in x and in mu.
 *
 * @param pullOf weight of a noisy step in the loss.
 */
export function generated(
  table: readonly Transition[],
  mu: number,
  s = gaussianToyDeviation,
  pullOf: (row: Transition) => number = () => 1,
): Generated {
  const state = {mean: 0, variance: 1, noisySlope: 0, kl: 0, lastCurvature: 0, noisySteps: 0};
  for (const row of table) {
    const {time: t, scale, a, b, std} = row;
    const gain = ((1 - t) * s * s) / ((1 - t) ** 2 * s * s + t * t);
    const g = 1 - (1 - t) * gain;
    const pass = a + b * gain * scale;
    state.mean = pass * state.mean + b * g * mu;
    state.variance = pass ** 2 * state.variance + std ** 2;
    state.noisySlope = pass * state.noisySlope + (std > 0 ? pullOf(row) * b * g : 0);
    if (std > 0) {
      state.noisySteps++;
      state.kl += ((b * g) / std) ** 2;
    }
    state.lastCurvature = g ** 2;
  }
  const {kl, ...rest} = state;
  return {...rest, klCurvature: kl / rest.noisySteps};
}

/** The root of a falling function, by bisection. */
export function rootOf(falling: (x: number) => number, low: number, high: number): number {
  let [a, b] = [low, high];
  for (let i = 0; i < 60; i++) {
    const middle = (a + b) / 2;
    if (falling(middle) > 0) a = middle;
    else b = middle;
  }
  return (a + b) / 2;
}

/** A reward of the grey level alone. */
export const greyReward = (name: string, of: (level: number, row: number) => number): Reward => ({
  name,
  unit: '1',
  score: async (videos) => Float32Array.from({length: videos.shape[0]}, (_, i) => of(videos.data[i * 3], i)),
});

/** A weighted sum of rewards of the grey level, as composed rewards are. */
export function greySum(parts: Readonly<Record<string, {weight: number; of: (level: number) => number}>>): Reward {
  const entries = Object.entries(parts);
  const scoreParts: Reward['scoreParts'] = async (videos) => {
    const levels = Array.from({length: videos.shape[0]}, (_, i) => videos.data[i * 3]);
    return {
      scores: Float32Array.from(levels, (x) => entries.reduce((sum, [, {weight, of}]) => sum + weight * of(x), 0)),
      parts: Object.fromEntries(entries.map(([name, {of}]) => [name, Float32Array.from(levels, of)])),
    };
  };
  return {
    name: 'sum',
    unit: '1',
    weights: Object.fromEntries(entries.map(([name, {weight}]) => [name, weight])),
    score: async (videos, prompts) => (await scoreParts(videos, prompts)).scores,
    scoreParts,
  };
}

/** One run, whatever the algorithm. */
export interface ToyRun {
  readonly device: Device;
  readonly sampler: SamplerName;
  readonly steps: number;
  readonly noiseLevel: number;
  readonly reward: Reward;
  readonly iterations: number;
  readonly seed?: number;
  readonly samples?: number;
  /** Default the toy as it ships. */
  readonly environment?: Environment;
  /** Whether rollouts overlap updates. Default false. */
  readonly overlapRollouts?: boolean;
  /** Changes the parts of the loop, to watch it. Default: they stay. */
  readonly around?: (parts: TrainParts) => TrainParts;
}

/** A device of one thread, which is most for graphs this small. */
export const openTestDevice = (): Promise<Device> => openOrtDevice('cpu', {provider: 'cpu', threads: 1}, {});

/** What a run leaves: the trained mean of every prompt, averaged over the last updates, and the last metrics. */
export interface ToyOutcome {
  readonly means: number[];
  readonly metrics: Readonly<Record<string, number>>;
  /** Those of every iteration. */
  readonly rows: readonly Readonly<Record<string, number>>[];
  readonly tables: SamplerTables;
}

/** Trains with DDPO or GRPO; `options` are those that differ from the test's own. */
export function trainToy({
  options,
  algorithm: chosen = ddpo,
  ...run
}: ToyRun & {
  /** Default DDPO. */
  readonly algorithm?: typeof ddpo | typeof grpo;
  readonly options?: Readonly<Record<string, unknown>>;
}): Promise<ToyOutcome> {
  const plain = {windowSize: 0, anchorCoefficient: 0, klCoefficient: 0, timestepFraction: 1};
  const settings = {
    ...plain,
    learningRate: 0.02,
    adamBeta2: 0.99,
    emaDecay: 0.95,
    advantageClip: 100,
    sharedStart: false,
    ...(chosen === ddpo && {bufferSize: 256}),
  };
  return trainToyWith((chosen as Algorithm).configure(chosen.options.parse({...settings, ...options})), run);
}

/** Trains with an algorithm. */
export async function trainToyWith(algorithm: ConfiguredAlgorithm, run: ToyRun): Promise<ToyOutcome> {
  const {device, reward, iterations, seed = 5, samples = 32, overlapRollouts = false, around = (parts) => parts} = run;
  algorithm.checkReward?.(reward);
  const environment = run.environment ?? gaussianToy();
  const params = environment.initialise(0);
  const layout = packPolicyFor(environment, params);
  const tables = samplerTables(run.sampler, run.steps, run.noiseLevel);
  const {loss, scalars, optimizer, keepsOld = false} = algorithm;
  const parts = {environment, device, layout, loss, scalars, optimizer, keepsOld, overlapRollouts};
  const learner = await createLearner({
    ...parts,
    density: tables.density,
    guidanceScale: 1,
    microbatch: 4096,
    reference: params,
    ...(reward.differentiable && {reward: reward.differentiable}),
  });
  const generate = createGenerator(environment, device, layout, tables.density, 1);
  const pool = environment.prompts('train', 4);
  const clips = algorithm.clips && openWorldClips(environment, device, layout, algorithm.clips);
  try {
    const states = await lastValueFrom(
      train(
        around({
          environment,
          algorithm,
          reward,
          learner,
          generate,
          ...(clips && {clips}),
          tables,
          seed,
          pool,
          promptsPerIteration: pool.length,
          samplesPerPrompt: samples,
          promptsPerBatch: pool.length,
          parityBound: 1e-4,
          overlapRollouts,
          lastIteration: iterations,
        }),
        {iteration: 0, memory: algorithm.initialMemory, metrics: {}},
      ).pipe(take(iterations), toArray()),
    );
    const {mean} = (await learner.averagedParams()) as {mean: NdArray<'float32'>};
    const rows = states.map(({metrics}) => metrics);
    return {means: [...mean.data], metrics: rows[rows.length - 1], rows, tables};
  } finally {
    await learner.close();
  }
}
