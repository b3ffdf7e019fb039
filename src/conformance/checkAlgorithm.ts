/** Whether an algorithm keeps the third contract. */
import {isDeepStrictEqual} from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import {from, lastValueFrom, toArray} from 'rxjs';
import {z} from 'zod';
import type {Algorithm, ConfiguredAlgorithm, Learner, Scored, TrainState} from '../algorithm.js';
import type {Device} from '../engine/device.js';
import type {Environment} from '../environment.js';
import {createLearner, type ResidentLearner} from '../learn/learner.js';
import {gatherTransitions, stochasticTransitions} from '../learn/transitions.js';
import {samplerTables} from '../numeric/samplers/named.js';
import {createGenerator} from '../rollout/generate.js';
import type {DifferentiableReward} from '../reward.js';
import {packPolicyFor} from '../rollout/residentPolicy.js';
import {sizeOf} from '../tensor/ndarray.js';
import {tuneSchema} from '../tune/schema.js';
import {findingsOf, isIdentifier, sameTree, type Findings} from './findings.js';
import {onDevice} from './onDevice.js';
import {testNoise} from './testNoise.js';

const STEPS = 4;
const SAMPLES = 4;
/** The mean of all pixels: what an algorithm that needs a reward's gradient is tried with. */
const MEAN_PIXEL: DifferentiableReward = {
  params: {},
  encode: () => ({}),
  score: (_, video) => tf.mean(tf.reshape(video, [video.shape[0], video.size / video.shape[0]]), 1),
};
/** A replayed step may differ by float32 rounding, nats per element. */
const PARITY = 1e-5;

/**
 * Runs every check of an algorithm: its options, its loss where it stands on the policy that acted, and one iteration.
 *
 * @param environment the world to learn in for one iteration; a small one.
 * @param options.device where to run it; default: a device of its own.
 * @throws ContractError that lists all faults.
 */
export async function checkAlgorithm(
  algorithm: Algorithm,
  environment: Environment,
  options: {readonly device?: Device} = {},
): Promise<void> {
  const found = findingsOf(`algorithm "${algorithm.name}"`);
  found.check(isIdentifier(algorithm.name), `name: wanted an identifier such as ddpo; got "${algorithm.name}"`);
  found.check(/^\S[^\n]*$/.test(algorithm.summary), 'summary: wanted one line; got none, or several');
  const configured = await found.part('options', () => checkOptions(found, algorithm));
  if (configured) {
    await onDevice(options.device, (device) =>
      found.part('learn', () => checkLearning(found, algorithm, configured, environment, device)),
    );
  }
  found.finish();
}

/** Checks the options, and returns the algorithm with its defaults if they are complete. */
function checkOptions(found: Findings, algorithm: Algorithm): ConfiguredAlgorithm | undefined {
  for (const [key, option] of Object.entries(algorithm.options.shape)) {
    const {description} = option as z.ZodType;
    found.check(
      description !== undefined && description !== '',
      `options: wanted a description of ${key}, with unit and range; got none`,
    );
  }
  const parsed = algorithm.options.safeParse({});
  found.check(
    parsed.success,
    `options: wanted a default for each; ${parsed.success ? '' : z.prettifyError(parsed.error).replaceAll('\n', ' ')}`,
  );
  found.check(!algorithm.options.safeParse({noSuchOption: 1}).success, 'options: wanted a strict object; an unknown key passes');
  const schema = tuneSchema(algorithm).safeParse({});
  found.check(
    schema.success,
    `defaults: wanted settings that a run accepts; ${schema.success ? '' : z.prettifyError(schema.error).replaceAll('\n', ' ')}`,
  );
  for (const {key} of schema.success ? (algorithm.idle?.(schema.data) ?? []) : []) {
    found.check(key in (schema.data ?? {}), `idle: wanted names of settings; got "${key}"`);
  }
  if (!parsed.success) return undefined;
  const [one, two] = [algorithm.configure(parsed.data), algorithm.configure(parsed.data)];
  found.check(
    JSON.stringify(one.scalars) === JSON.stringify(two.scalars),
    'configure: wanted a pure function; its scalars changed',
  );
  found.check(keptByJson(one.initialMemory), 'initialMemory: wanted a value that JSON keeps; it changes on the way');
  return one;
}

async function checkLearning(
  found: Findings,
  algorithm: Algorithm,
  configured: ConfiguredAlgorithm,
  environment: Environment,
  device: Device,
): Promise<void> {
  const params = environment.initialise(1);
  const layout = packPolicyFor(environment, params);
  const tables = samplerTables('flowSde', STEPS, 0.7);
  const table = configured.deterministic ? tables.deterministic : tables.stochastic;
  const reward = algorithm.needs.differentiableReward ? MEAN_PIXEL : undefined;
  const given = reward && {reward};
  const open = (): Promise<ResidentLearner> =>
    createLearner({
      environment,
      device,
      layout,
      loss: configured.loss,
      scalars: configured.scalars,
      optimizer: configured.optimizer,
      density: tables.density,
      guidanceScale: 1,
      microbatch: 8,
      keepsOld: configured.keepsOld ?? false,
      reference: params,
      ...given,
    });
  const learner = await open();
  const generate = createGenerator(environment, device, layout, tables.density, 1);
  const scored: Scored[] = [];
  for (const [i, prompt] of environment.prompts('train', 2).entries()) {
    const request = {
      prompts: [prompt],
      samples: SAMPLES,
      table,
      seed: 1,
      iteration: 0,
      purpose: 'conformance',
    };
    const trajectories = await generate(learner.acting, {
      ...request,
      sharedStart: configured.sharedStart,
      keepNoise: configured.keepNoise === true,
    });
    const size = sizeOf(environment.videoShape);
    const noise = testNoise(`rewards/${i}`, [SAMPLES]).data;
    scored.push({trajectories, rewards: noise.map((x, row) => x + trajectories.videos.data[row * size])});
  }

  // Without a noisy step there is no log-probability, and no ratio to stand at 1.
  if (!configured.deterministic) {
    const refs = stochasticTransitions(scored).slice(0, learner.microbatch);
    const batch = gatherTransitions(
      scored,
      refs,
      scored.map((s) => s.rewards),
    );
    const sums = await learner.evaluate(batch);
    for (const [name, value] of Object.entries(sums)) {
      found.check(Number.isFinite(value.data[0]), `loss: wanted finite sums at ratio 1; ${name} is ${value.data[0]}`);
    }
    const gap = (sums['ratioGap']?.data[0] ?? NaN) / refs.length;
    found.check(
      gap <= PARITY,
      `loss: wanted the metric ratioGap, Σ|logp − logp_old|, near 0 at ratio 1, for the parity guard; got ${gap}`,
    );
    const {gradientNorm} = await learner.update([batch], refs.length);
    found.check(
      gradientNorm > 0 && Number.isFinite(gradientNorm),
      `loss: wanted a finite gradient other than 0 at ratio 1; its norm is ${gradientNorm}`,
    );
  }
  await learner.close();

  const outcome = async (): Promise<{
    states: TrainState[];
    weights: Awaited<ReturnType<ResidentLearner['snapshot']>>;
    calls: number;
    strongest: number;
  }> => {
    const fresh = await open();
    let calls = 0;
    let strongest = 0;
    const counting: Learner = {
      microbatch: fresh.microbatch,
      evaluate: (batch) => fresh.evaluate(batch),
      moveOld: (decay) => fresh.moveOld(decay),
      async update(batches, transitions) {
        calls++;
        const report = await fresh.update(batches, transitions);
        strongest = Math.max(strongest, report.gradientNorm);
        return report;
      },
    };
    const state: TrainState = {iteration: 0, memory: frozen(configured.initialMemory), metrics: {}};
    const states = await lastValueFrom(
      configured.learn(from(scored), Object.freeze(state), {learner: counting, seed: 1, ...given}).pipe(toArray()),
    );
    const weights = await fresh.snapshot();
    await fresh.close();
    return {states, weights, calls, strongest};
  };
  const one = await outcome();
  found.check(one.states.length === 1, `learn: wanted one state for one iteration; got ${one.states.length}`);
  const state = one.states.at(-1);
  if (!state) return;
  found.check(state.iteration === 1, `learn: wanted iteration 1 after the first; got ${state.iteration}`);
  for (const [name, value] of Object.entries(state.metrics))
    found.check(Number.isFinite(value), `learn: wanted finite metrics; ${name} is ${value}`);
  found.check(keptByJson(state.memory), 'learn: wanted memory that JSON keeps; it does not');
  const {updatesPerIteration} = configured.work;
  found.check(
    one.calls === updatesPerIteration,
    `work: wanted the ${updatesPerIteration} updates that it announces; learn made ${one.calls}`,
  );
  found.check(one.strongest > 0, 'learn: wanted a gradient other than 0 in some update; all were 0');
  const two = await outcome();
  found.check(
    sameTree(one.weights.arrays, two.weights.arrays) && JSON.stringify(one.states) === JSON.stringify(two.states),
    'learn: wanted the same weights and state from the same trajectories; a second run gives others',
  );
}

/** The same value, which throws when it is written to. */
function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(frozen);
  return value;
}

/** Whether a value comes back from a checkpoint as it was. */
const keptByJson = (value: unknown): boolean => isDeepStrictEqual(JSON.parse(JSON.stringify(value)), value);
