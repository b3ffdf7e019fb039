/** The sentence: what an iteration asks for, in which order, and what is handed on. */
import {expect} from 'chai';
import {from, lastValueFrom, map, mergeMap, of, take, toArray} from 'rxjs';
import type {ConfiguredAlgorithm, Scored, TrainState} from '../src/algorithm.js';
import type {Prompt} from '../src/environment.js';
import type {ResidentLearner} from '../src/learn/learner.js';
import {samplerTables} from '../src/numeric/samplers/named.js';
import type {GenerateRequest, Trajectories} from '../src/rollout/generate.js';
import {float32} from '../src/tensor/ndarray.js';
import {iterations, promptsOf, requestsOf, train, type TrainParts} from '../src/train.js';
import {rejection} from './support/files.js';

const pool: Prompt[] = Array.from({length: 12}, (_, i) => ({id: `p${i}`, text: `prompt ${i}`}));
const ids = (prompts: readonly Prompt[]): string[] => prompts.map((p) => p.id);

describe('promptsOf', () => {
  const parts = {pool, promptsPerIteration: 3, seed: 5};
  const pass = (first: number, of: Partial<typeof parts> = {}): string[] =>
    [0, 1, 2, 3].flatMap((i) => ids(promptsOf({...parts, ...of}, first + i)));

  it('goes through the whole pool before it repeats a prompt, in another order each time', () => {
    for (const first of [0, 4, 8]) expect([...pass(first)].sort()).to.deep.equal([...ids(pool)].sort());
    expect(pass(0)).not.to.deep.equal(pass(4));
  });

  it('is a function of the seed and the iteration', () => {
    expect(pass(4)).to.deep.equal(pass(4));
    expect(pass(0)).not.to.deep.equal(pass(0, {seed: 6}));
  });

  it('goes on in the next pass where the pool does not divide', () => {
    const five = (i: number): string[] => ids(promptsOf({...parts, promptsPerIteration: 5}, i));
    const stream = Array.from({length: 12}, (_, i) => five(i)).flat();
    for (let at = 0; at < 60; at += 12) expect(new Set(stream.slice(at, at + 12)).size).to.equal(12);
  });
});

/** Parts of which everything is told to `log`. */
function fakeParts(log: string[], change: Partial<TrainParts> = {}): TrainParts {
  const tables = samplerTables('flowSde', 4, 0.7);
  const generate = async (_: unknown, request: GenerateRequest): Promise<Trajectories> => {
    log.push(`rollout ${request.iteration}: ${ids(request.prompts).length} prompts`);
    const prompts = request.prompts.flatMap((p) => Array.from({length: request.samples}, () => p));
    const n = prompts.length;
    const latent = float32(new Float32Array(n), [n, 1]);
    return {
      prompts,
      latents: [0, 1, 2, 3, 4].map(() => latent),
      logProbs: [0, 1, 2, 3].map(() => new Float32Array(n)),
      text: float32(new Float32Array(request.prompts.length), [request.prompts.length, 1, 1]),
      textRow: prompts.map(() => 0),
      table: request.table,
      videos: float32(
        prompts.map((p) => Number(p.id.slice(1))),
        [n, 1, 1, 1, 1],
      ),
    };
  };
  const learner = {
    policy: {},
    microbatch: 4,
    evaluate: async (_: unknown, policy: string) => {
      log.push(policy === 'acting' ? 'parity' : 'ratio');
      return {ratioGap: float32([policy === 'acting' ? 4e-8 : 4e-4], [])};
    },
    advance: async () => void log.push('advance'),
    retreat: async () => void log.push('retreat'),
  } as unknown as ResidentLearner;
  const learn: ConfiguredAlgorithm['learn'] = (scored$, state) =>
    scored$.pipe(
      toArray(),
      map((scored: Scored[]): TrainState => {
        log.push(`learn ${state.iteration}: ${scored.length} batches`);
        const memory = [...(state.memory as string[]), `${scored.length}`];
        return {iteration: state.iteration + 1, memory, metrics: {'policy/loss': scored.length}};
      }),
    );
  return {
    environment: {} as TrainParts['environment'],
    algorithm: {learn, sharedStart: true} as unknown as ConfiguredAlgorithm,
    reward: {
      name: 'fake',
      unit: '1',
      score: async ({data}) => {
        log.push('score');
        return data.map((x, i) => x + (i % 2));
      },
    },
    learner,
    generate,
    tables,
    seed: 5,
    pool,
    promptsPerIteration: 6,
    samplesPerPrompt: 2,
    promptsPerBatch: 4,
    parityBound: 1e-6,
    ...change,
  };
}
const start: TrainState = {iteration: 0, memory: [], metrics: {}};

describe('requestsOf', () => {
  it('splits the prompts of an iteration into batches, all of one key', () => {
    const parts = fakeParts([]);
    const requests = requestsOf(parts, 3);
    expect(requests.map((r) => r.prompts.length)).to.deep.equal([4, 2]);
    expect(requests.flatMap((r) => ids(r.prompts))).to.deep.equal(ids(promptsOf(parts, 3)));
    for (const request of requests) {
      expect(request).to.include({
        samples: 2,
        seed: 5,
        iteration: 3,
        purpose: 'rollout',
        sharedStart: true,
        table: parts.tables.stochastic,
      });
    }
  });

  it('gives each batch the window that the algorithm chooses for it', () => {
    const asked: number[][] = [];
    const algorithm = {
      window: (...given: number[]) => {
        asked.push(given);
        return {start: given[1], size: 2};
      },
    } as unknown as ConfiguredAlgorithm;
    const requests = requestsOf(fakeParts([], {algorithm}), 3);
    expect(asked).to.deep.equal([
      [3, 0, 4, 5],
      [3, 1, 4, 5],
    ]);
    expect(requests.map((r) => r.table.map(({std}) => std > 0))).to.deep.equal([
      [true, true, false, false],
      [false, true, true, false],
    ]);
  });
});

describe('iterations without noise', () => {
  const withoutNoise = (log: string[]): TrainParts => {
    const parts = fakeParts(log);
    return {...parts, algorithm: {...parts.algorithm, deterministic: true}};
  };

  it('ask for tables of which no step has noise', () => {
    const requests = requestsOf(withoutNoise([]), 3);
    expect(requests.map((r) => r.table.map(({std}) => std))).to.deep.equal([
      [0, 0, 0, 0],
      [0, 0, 0, 0],
    ]);
  });

  it('have no parity to check, and report none', async () => {
    const log: string[] = [];
    const {value} = (await iterations(withoutNoise(log), start).next()) as {value: TrainState};
    expect(log.filter((line) => !line.startsWith('rollout') && line !== 'score')).to.deep.equal(['learn 0: 2 batches']);
    expect(value.metrics).not.to.have.property('policy/ratioGap');
  });
});

describe('iterations', () => {
  it('rolls out, scores, checks parity and learns, in that order, and only when the next state is asked for', async () => {
    const log: string[] = [];
    const states = iterations(fakeParts(log), start);
    expect(log).to.deep.equal([]);
    const {value: first} = (await states.next()) as {value: TrainState};
    expect(log.filter((line) => line !== 'score')).to.deep.equal([
      'rollout 0: 4 prompts',
      'rollout 0: 2 prompts',
      'parity',
      'learn 0: 2 batches',
    ]);
    expect(log.filter((line) => line === 'score')).to.have.length(2);
    expect(log.indexOf('parity')).to.be.above(log.lastIndexOf('score'));
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(log).to.have.length(6);
    const {value: second} = (await states.next()) as {value: TrainState};
    expect([first.iteration, second.iteration]).to.deep.equal([1, 2]);
    expect(second.memory).to.deep.equal(['2', '2']);
    expect(log[6]).to.equal('rollout 1: 4 prompts');
    await states.return(undefined);
  });

  it('goes on from a state as it would have gone on by itself', async () => {
    const run = async (from_: TrainState, count: number): Promise<TrainState[]> => {
      const parts = fakeParts([]);
      return lastValueFrom(train(parts, from_).pipe(take(count), map(untimed), toArray()));
    };
    const whole = await run(start, 4);
    const {iteration, memory} = whole[1];
    expect(await run({iteration, memory, metrics: {}}, 2)).to.deep.equal(whole.slice(2));
  });

  it('reports rewards, their spread within prompts, the parity gap and what the algorithm says', async () => {
    const [state] = await lastValueFrom(from(iterations(fakeParts([]), start)).pipe(take(1), toArray()));
    const levels = promptsOf(fakeParts([]), 0).flatMap((p) => [Number(p.id.slice(1)), Number(p.id.slice(1)) + 1]);
    const mean = levels.reduce((a, b) => a + b, 0) / 12;
    const {metrics} = state;
    expect(metrics['reward/mean']).to.be.closeTo(mean, 1e-9);
    expect(metrics['reward/std']).to.be.closeTo(Math.sqrt(levels.reduce((a, b) => a + (b - mean) ** 2, 0) / 12), 1e-9);
    expect(metrics['reward/min']).to.equal(Math.min(...levels));
    expect(metrics['reward/max']).to.equal(Math.max(...levels));
    expect(metrics['reward/groupStd']).to.be.closeTo(0.5, 1e-9);
    expect(metrics['policy/ratioGap']).to.be.closeTo(1e-8, 1e-12);
    expect(metrics['policy/loss']).to.equal(2);
    expect(metrics['time/rolloutSeconds']).to.be.at.least(0);
  });

  it('reports the mean of each part of a composed reward, over all batches', async () => {
    const reward: TrainParts['reward'] = {
      name: 'level + twice',
      unit: '1',
      score: async ({data}) => data.map((x) => 3 * x),
      scoreParts: async ({data}) => ({
        scores: data.map((x) => 3 * x),
        parts: {level: data.slice(), twice: data.map((x) => 2 * x)},
      }),
    };
    const {value} = (await iterations(fakeParts([], {reward}), start).next()) as {value: TrainState};
    const mean = value.metrics['reward/level'];
    expect(mean).to.be.closeTo(promptsOf(fakeParts([]), 0).reduce((sum, p) => sum + Number(p.id.slice(1)), 0) / 6, 1e-9);
    expect(value.metrics['reward/twice']).to.be.closeTo(2 * mean, 1e-9);
    expect(value.metrics['reward/mean']).to.be.closeTo(3 * mean, 1e-9);
  });

  it('does not learn from what parity refuses, or from rewards that are not finite', async () => {
    const learnt = (log: string[]): boolean => log.some((line) => line.startsWith('learn'));
    const [one, two]: [string[], string[]] = [[], []];
    const refused = await rejection(iterations(fakeParts(one, {parityBound: 1e-9}), start).next());
    expect(refused.message).to.match(/^parity: /);
    expect(learnt(one)).to.equal(false);
    const reward = {name: 'broken', unit: '1', score: async () => new Float32Array(8).fill(NaN)};
    const poisoned = await rejection(iterations(fakeParts(two, {reward}), start).next());
    expect(poisoned.message).to.match(/^reward "broken" is NaN for prompt "prompt \d+"; nothing was applied/);
    expect(learnt(two)).to.equal(false);
  });
});

/** Waits for whatever can go on by itself. */
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

/** Parts whose rollouts overlap updates, and gates: learning and rollouts wait until theirs is opened. */
function overlapped(change: Partial<TrainParts> = {}) {
  const log: string[] = [];
  const parts = fakeParts(log, {promptsPerBatch: 6, overlapRollouts: true});
  const gates = new Map<string, (error?: Error) => void>();
  const gate = (name: string, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      gates.set(name, (error) => (error ? reject(error) : resolve()));
      // A batch that is aborted ends a little later, at its next step.
      signal?.addEventListener('abort', () => setTimeout(() => reject(signal.reason as Error), 2));
    });
  const open = async (name: string, error?: Error): Promise<void> => {
    await settled();
    gates.get(name)!(error);
    gates.delete(name);
    await settled();
  };
  const generate: TrainParts['generate'] = async (policy, request, signal) => {
    log.push(`begin ${request.iteration}`);
    await gate(`rollout ${request.iteration}`, signal).finally(() => log.push(`end ${request.iteration}`));
    return parts.generate(policy, request);
  };
  const learn: ConfiguredAlgorithm['learn'] = (scored$, state) => {
    log.push(`begin to learn ${state.iteration}`);
    return from(gate(`learn ${state.iteration}`)).pipe(mergeMap(() => parts.algorithm.learn(scored$, state, {} as never)));
  };
  return {log, open, gates, parts: {...parts, generate, algorithm: {...parts.algorithm, learn}, ...change}};
}

describe('iterations whose rollouts overlap updates', () => {
  /** Asks for the next state, and says whether it is there. */
  function ask(states: AsyncGenerator<TrainState>) {
    const found: {state?: TrainState; error?: Error} = {};
    const done = states.next().then(
      ({value}) => void (found.state = value as TrainState),
      (error: unknown) => void (found.error = error as Error),
    );
    return {found, done};
  }

  it('make the next rollouts while they learn, after what samples has caught up, and are done when both are', async () => {
    const {log, open, parts} = overlapped();
    const states = iterations(parts, start);
    const first = ask(states);
    await open('rollout 0');
    const rolled = ['begin 0', 'end 0', 'rollout 0: 6 prompts', 'score', 'parity', 'ratio', 'advance'];
    expect(log).to.deep.equal([...rolled, 'begin to learn 0', 'begin 1']);
    await open('learn 0');
    expect(log.at(-1)).to.equal('learn 0: 1 batches');
    expect(first.found).to.deep.equal({});
    await open('rollout 1');
    expect(first.found.state!.iteration).to.equal(1);
    expect(log.at(-1)).to.equal('score');
    log.length = 0;
    // Nothing goes on while the caller has the state.
    await settled();
    expect(log).to.deep.equal([]);
    const second = ask(states);
    await open('rollout 2');
    expect(log).to.deep.equal([
      'parity',
      'ratio',
      'advance',
      'begin to learn 1',
      'begin 2',
      'end 2',
      'rollout 2: 6 prompts',
      'score',
    ]);
    expect(second.found).to.deep.equal({});
    await open('learn 1');
    expect(second.found.state!.memory).to.deep.equal(['1', '1']);
    await states.return(undefined);
  });

  it('report how far the policy is from the one that sampled, beside the parity gap', async () => {
    const {open, parts} = overlapped({lastIteration: 1});
    const {found, done} = ask(iterations(parts, start));
    await open('rollout 0');
    await open('learn 0');
    await done;
    expect(found.state!.metrics['policy/ratioGap']).to.be.closeTo(1e-8, 1e-12);
    expect(found.state!.metrics['policy/staleRatioGap']).to.be.closeTo(1e-4, 1e-9);
    const {value} = (await iterations(fakeParts([]), start).next()) as {value: TrainState};
    expect(value.metrics).not.to.have.property('policy/staleRatioGap');
  });

  it('make nothing ahead of the last one', async () => {
    const {log, open, parts} = overlapped({lastIteration: 2});
    const states = iterations(parts, start);
    const first = ask(states);
    for (const name of ['rollout 0', 'learn 0', 'rollout 1']) await open(name);
    await first.done;
    const second = ask(states);
    await open('learn 1');
    await second.done;
    expect(second.found.state!.iteration).to.equal(2);
    expect(log.filter((line) => line.startsWith('begin'))).to.deep.equal([
      'begin 0',
      'begin to learn 0',
      'begin 1',
      'begin to learn 1',
    ]);
    await states.return(undefined);
  });

  it('go on from a state with rollouts of its own, and ahead from there', async () => {
    const {log, open, parts} = overlapped();
    const {found, done} = ask(iterations(parts, {iteration: 5, memory: [], metrics: {}}));
    for (const name of ['rollout 5', 'learn 5', 'rollout 6']) await open(name);
    await done;
    expect(found.state!.iteration).to.equal(6);
    expect(log.slice(0, 2)).to.deep.equal(['begin 5', 'end 5']);
  });

  it('tell of an error ahead only when the next state is asked for', async () => {
    const {log, open, parts} = overlapped();
    const states = iterations(parts, start);
    const first = ask(states);
    await open('rollout 0');
    await open('rollout 1', new Error('lost ahead'));
    await open('learn 0');
    await first.done;
    expect(first.found.state!.iteration).to.equal(1);
    const second = ask(states);
    await second.done;
    expect(second.found.error!.message).to.equal('lost ahead');
    expect(log).not.to.include('begin to learn 1');
    expect(log).not.to.include('retreat');
  });

  it('let go of the rollouts when learning fails, and wait for their end; what samples goes back', async () => {
    const {log, open, parts} = overlapped();
    const {found, done} = ask(iterations(parts, start));
    const told = done.then(() => log.push('told'));
    await open('rollout 0');
    await open('learn 0', new Error('lost'));
    await told;
    expect(found.error!.message).to.equal('lost');
    expect(log.slice(-5)).to.deep.equal(['begin to learn 0', 'begin 1', 'retreat', 'end 1', 'told']);
  });

  it('end the rollouts ahead when they are aborted, not the updates, and make them again if asked to go on', async () => {
    const {log, open, gates, parts} = overlapped();
    const stop = new AbortController();
    const states = iterations(parts, start, stop.signal);
    const first = ask(states);
    await open('rollout 0');
    stop.abort();
    await settled();
    expect(log.at(-1)).to.equal('end 1');
    expect([...gates.keys()]).to.include('learn 0');
    await open('learn 0');
    await first.done;
    expect(first.found.state!.iteration).to.equal(1);
    const second = ask(states);
    await open('rollout 1');
    await open('learn 1');
    await second.done;
    expect(second.found.state!.iteration).to.equal(2);
    expect(log.filter((line) => line.startsWith('begin 2'))).to.deep.equal([]);
    await states.return(undefined);
  });
});

describe('train', () => {
  it('stops after the iteration under way when nobody listens any more', async () => {
    const log: string[] = [];
    await lastValueFrom(train(fakeParts(log), start).pipe(take(2)));
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(log.filter((line) => line.startsWith('learn'))).to.have.length(2);
    expect(log.filter((line) => line.startsWith('rollout 2'))).to.deep.equal([]);
  });

  it('ends the rollouts that are made ahead when nobody listens any more, and begins nothing', async () => {
    const {log, open, parts} = overlapped();
    const seen: TrainState[] = [];
    const subscription = train(parts, start).subscribe((state) => seen.push(state));
    await open('rollout 0');
    expect(log.at(-1)).to.equal('begin 1');
    subscription.unsubscribe();
    await settled();
    expect(log.at(-1)).to.equal('end 1');
    await open('learn 0');
    expect(log.filter((line) => line.startsWith('begin'))).to.deep.equal(['begin 0', 'begin to learn 0', 'begin 1']);
    expect(seen).to.deep.equal([]);
  });

  it('passes on the error of an iteration', async () => {
    const algorithm = {
      learn: () =>
        of().pipe(
          toArray(),
          map(() => {
            throw new Error('lost');
          }),
        ),
    } as unknown as ConfiguredAlgorithm;
    expect((await rejection(lastValueFrom(train(fakeParts([], {algorithm}), start)))).message).to.equal('lost');
  });
});

/** A state without its times, which no two runs share. */
const untimed = (state: TrainState): TrainState => ({
  ...state,
  metrics: Object.fromEntries(Object.entries(state.metrics).filter(([name]) => !name.startsWith('time/'))),
});
