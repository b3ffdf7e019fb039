/** The sentence: prompts → rollouts → rewards → advantages → update → metrics. */
import {
  dematerialize,
  EMPTY,
  from,
  fromEvent,
  lastValueFrom,
  Observable,
  of,
  takeUntil,
  tap,
  toArray,
  type ObservableNotification,
} from 'rxjs';
import type {ConfiguredAlgorithm, Scored, TrainState} from './algorithm.js';
import type {Environment, Prompt} from './environment.js';
import {checkParity, ratioGapOf} from './learn/parity.js';
import type {ResidentLearner} from './learn/learner.js';
import {statistics} from './numeric/advantages.js';
import type {SamplerTables} from './numeric/samplers/named.js';
import {windowed} from './numeric/samplers/ode.js';
import type {Reward} from './reward.js';
import type {GenerateRequest, Generator} from './rollout/generate.js';
import type {WorldClips} from './rollout/worldClips.js';
import {overlap} from './stream/overlap.js';
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
  /**
   * Whether the rollouts of an iteration are made while the one before it updates the policy, by the policy before those updates. The
   * learner must be made for it. Default false.
   */
  readonly overlapRollouts?: boolean;
  /** How many iterations there will be, where that is known: the last one needs no rollouts made ahead. */
  readonly lastIteration?: number;
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

/** All of an iteration's scored trajectories, by the policy that samples when it is subscribed to. */
function collect(
  {clips, learner, generate, reward}: TrainParts,
  requests: readonly GenerateRequest[],
  iteration: number,
  begun: (work: Promise<unknown>) => void,
): Observable<Scored[]> {
  const scored$ = clips
    ? from(clips.read(learner.acting, iteration))
    : from(requests).pipe(rollout(generate, learner.acting, begun), score(reward, 2, begun));
  return scored$.pipe(toArray());
}

/** Emits when it is aborted. */
const aborted = (signal: AbortSignal): Observable<unknown> => (signal.aborted ? of(signal) : fromEvent(signal, 'abort'));

/**
 * The state after every iteration, without end, on demand: an iteration begins when the next state is asked for, so that weights
 * stand still while its caller evaluates or saves. No work outlives it: when a state is there, or an error, or nobody asks for more,
 * everything that was begun has ended.
 *
 * With `overlapRollouts` an iteration is its updates and, beside them, the rollouts of the next one.
 *
 * @param signal aborted, it ends the rollouts that are made ahead; updates are never cut in half.
 */
export async function* iterations(
  parts: TrainParts,
  start: TrainState,
  signal: AbortSignal = new AbortController().signal,
): AsyncGenerator<TrainState> {
  const {reward, algorithm, learner, seed, overlapRollouts = false, lastIteration = Infinity} = parts;
  const context = {learner, seed, ...(reward.differentiable && {reward: reward.differentiable})};
  const running = new Set<Promise<void>>();
  const begun = (work: Promise<unknown>): void => {
    const ended = work.then(
      () => void running.delete(ended),
      () => void running.delete(ended),
    );
    running.add(ended);
  };
  const collected$ = (iteration: number): Observable<Scored[]> =>
    collect(parts, parts.clips ? [] : requestsOf(parts, iteration), iteration, begun);

  let state = start;
  let ahead: ObservableNotification<Scored[]> = {kind: 'C'};
  try {
    for (;;) {
      const began = performance.now();
      // Rollouts ahead that were not made, or not to their end, are made now: what samples has not moved.
      const collected: Scored[] = await lastValueFrom(
        ahead.kind === 'C' ? collected$(state.iteration) : of(ahead).pipe(dematerialize()),
      );
      const rolledOut = performance.now();
      const gap = await checkParity(learner, collected[0], parts.parityBound);
      const staleGap = overlapRollouts ? await ratioGapOf(learner, collected[0], 'trained') : undefined;
      if (overlapRollouts) await learner.advance();
      const next = state.iteration + 1;
      const ahead$ = overlapRollouts && next < lastIteration ? collected$(next).pipe(takeUntil(aborted(signal))) : EMPTY;
      let learntAt = rolledOut;
      const learnt$ = algorithm.learn(from(collected), state, context).pipe(tap(() => (learntAt = performance.now())));
      try {
        [state, ahead] = await lastValueFrom(learnt$.pipe(overlap(ahead$)));
      } catch (error) {
        // A device that cannot copy any more cannot save either, and the first error is the one to tell.
        if (overlapRollouts) await learner.retreat().catch(() => undefined);
        throw error;
      }
      const done = performance.now();
      state = {
        ...state,
        metrics: {
          ...(parts.clips === undefined && rewardMetrics(collected)),
          ...state.metrics,
          ...(gap !== undefined && {'policy/ratioGap': gap}),
          ...(staleGap !== undefined && {'policy/staleRatioGap': staleGap}),
          // What learning waited for: rollouts that overlapped updates are in the time of these.
          'time/rolloutSeconds': (rolledOut - began + done - learntAt) / 1000,
          'time/updateSeconds': (learntAt - rolledOut) / 1000,
        },
      };
      yield state;
    }
  } finally {
    await Promise.all(running);
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
 * The same as a stream: take as many states as the budget allows. Unsubscribing stops after the updates under way, and at once the
 * rollouts that are made ahead. A stream does not wait for its subscriber: the next iteration begins at once, so what must see unmoved
 * weights uses {@link iterations}.
 */
export const train = (parts: TrainParts, start: TrainState): Observable<TrainState> =>
  new Observable((subscriber) => {
    const stop = new AbortController();
    subscriber.add(() => stop.abort());
    return from(iterations(parts, start, stop.signal)).subscribe(subscriber);
  });
