/** The sentence: prompts → rollouts → rewards → advantages → update → metrics. */
import {from, lastValueFrom, toArray, type Observable} from 'rxjs';
import type {ConfiguredAlgorithm, Scored, TrainState} from './algorithm.js';
import type {Environment, Prompt} from './environment.js';
import {checkParity} from './learn/parity.js';
import type {ResidentLearner} from './learn/learner.js';
import {statistics} from './numeric/advantages.js';
import type {SamplerTables} from './numeric/samplers/named.js';
import {windowed} from './numeric/samplers/ode.js';
import type {Reward} from './reward.js';
import type {GenerateRequest, Generator} from './rollout/generate.js';
import type {WorldClips} from './rollout/worldClips.js';
import {rollout} from './stream/rollout.js';
import {score} from './stream/score.js';
import {permutation} from './tensor/random.js';

/** Everything that a training run is made of. */
export interface TrainParts {
  readonly environment: Environment;
  readonly algorithm: ConfiguredAlgorithm;
  readonly reward: Reward;
  readonly learner: ResidentLearner;
  readonly generate: Generator;
  /** What an algorithm learns from that asks for the world's clips in the place of rollouts. */
  readonly clips?: WorldClips;
  readonly tables: SamplerTables;
  readonly seed: number;
  /** Prompts to draw from. */
  readonly pool: readonly Prompt[];
  readonly promptsPerIteration: number;
  readonly samplesPerPrompt: number;
  /** Prompts of one rollout batch. */
  readonly promptsPerBatch: number;
  /** Largest difference of a replayed log-probability that is let through, nats per element. */
  readonly parityBound: number;
}

/** The prompts of an iteration: the pool in an order of its own for each pass over it. */
export function promptsOf(
  {pool, promptsPerIteration, seed}: Pick<TrainParts, 'pool' | 'promptsPerIteration' | 'seed'>,
  iteration: number,
): Prompt[] {
  const orders = new Map<number, Int32Array>();
  return Array.from({length: promptsPerIteration}, (_, i) => {
    const at = iteration * promptsPerIteration + i;
    const pass = Math.floor(at / pool.length);
    let order = orders.get(pass);
    if (!order) orders.set(pass, (order = permutation({seed, purpose: 'promptOrder', iteration: pass}, pool.length)));
    return pool[order[at % pool.length]];
  });
}

/** The rollout batches of an iteration, each with its own window of stochastic steps. */
export function requestsOf(parts: TrainParts, iteration: number): GenerateRequest[] {
  const {tables, algorithm, seed, samplesPerPrompt, promptsPerBatch} = parts;
  const prompts = promptsOf(parts, iteration);
  const batches = Math.ceil(prompts.length / promptsPerBatch);
  const whole = algorithm.deterministic === true ? tables.deterministic : tables.stochastic;
  return Array.from({length: batches}, (_, batch) => {
    const window = algorithm.window?.(iteration, batch, tables.stochastic.length, seed);
    return {
      prompts: prompts.slice(batch * promptsPerBatch, (batch + 1) * promptsPerBatch),
      samples: samplesPerPrompt,
      table: window ? windowed(tables.stochastic, tables.deterministic, window.start, window.size) : whole,
      seed,
      iteration,
      purpose: 'rollout',
      sharedStart: algorithm.sharedStart,
      ...(algorithm.keepNoise === true && {keepNoise: true}),
    };
  });
}

/**
 * The state after every iteration, without end, on demand: an iteration begins when the next state is asked for, so that weights
 * stand still while its caller evaluates or saves.
 */
export async function* iterations(parts: TrainParts, start: TrainState): AsyncGenerator<TrainState> {
  const {reward, algorithm, learner, generate, seed} = parts;
  const context = {learner, seed, ...(reward.differentiable && {reward: reward.differentiable})};
  let state = start;
  for (;;) {
    const began = performance.now();
    const scored$ = parts.clips
      ? from(parts.clips.read(learner.acting, state.iteration))
      : from(requestsOf(parts, state.iteration)).pipe(rollout(generate, learner.acting), score(reward, 2));
    const collected = await lastValueFrom(scored$.pipe(toArray()));
    const rolledOut = performance.now();
    const gap = await checkParity(learner, collected[0], parts.parityBound);
    state = await lastValueFrom(algorithm.learn(from(collected), state, context));
    const done = performance.now();
    state = {
      ...state,
      metrics: {
        ...(parts.clips === undefined && rewardMetrics(collected)),
        ...state.metrics,
        ...(gap !== undefined && {'policy/ratioGap': gap}),
        'time/rolloutSeconds': (rolledOut - began) / 1000,
        'time/updateSeconds': (done - rolledOut) / 1000,
      },
    };
    yield state;
  }
}

/** How the rollouts' rewards lie. */
function rewardMetrics(collected: readonly Scored[]): Record<string, number> {
  const rewards = collected.flatMap((s) => Array.from(s.rewards));
  const {mean, std} = statistics(rewards);
  return {
    'reward/mean': mean,
    'reward/std': std,
    'reward/min': Math.min(...rewards),
    'reward/max': Math.max(...rewards),
    'reward/groupStd': statistics(groupDeviations(collected)).mean,
    ...partMeans(collected),
  };
}

/** The mean of each part of a composed reward, as `reward/<name>`. */
function partMeans(scored: readonly Scored[]): Record<string, number> {
  const names = Object.keys(scored[0].parts ?? {});
  const meanOf = (name: string): number => statistics(scored.flatMap(({parts}) => Array.from(parts![name]))).mean;
  return Object.fromEntries(names.map((name) => [`reward/${name}`, meanOf(name)]));
}

function groupDeviations(scored: readonly Scored[]): number[] {
  const groups = new Map<string, number[]>();
  for (const {trajectories, rewards} of scored) {
    trajectories.prompts.forEach((p, i) => groups.set(p.id, [...(groups.get(p.id) ?? []), rewards[i]]));
  }
  return [...groups.values()].map((group) => statistics(group).std);
}

/**
 * The same as a stream: take as many states as the budget allows. Unsubscribing stops after the iteration under way. A stream does
 * not wait for its subscriber: the next iteration begins at once, so what must see unmoved weights uses {@link iterations}.
 */
export const train = (parts: TrainParts, start: TrainState): Observable<TrainState> => from(iterations(parts, start));
