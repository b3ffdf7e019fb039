import {expect} from 'chai';
import {from, of, throwError, type Observable} from 'rxjs';
import {TestScheduler} from 'rxjs/testing';
import type {GenerateRequest, Generator, Trajectories} from '../../src/rollout/generate.js';
import {rollout} from '../../src/stream/rollout.js';
import {rejection} from '../support/files.js';

/** A generator by marbles: rxjs takes an observable wherever a promise may stand. */
const generator = (of_: (request: string) => Observable<unknown>): Generator =>
  ((_policy: unknown, request: string) => of_(request)) as unknown as Generator;
const policy = {};

describe('rollout', () => {
  const scheduler = (): TestScheduler => new TestScheduler((actual, wanted) => void expect(actual).to.deep.equal(wanted));
  const operator = (generate: Generator): ((source: Observable<string>) => Observable<string>) =>
    rollout(generate, policy) as unknown as (source: Observable<string>) => Observable<string>;

  it('generates one batch after the other, in order, whatever each one takes', () => {
    scheduler().run(({cold, hot, expectObservable, expectSubscriptions}) => {
      const batches: Record<string, ReturnType<typeof cold>> = {
        a: cold('-----x|', {x: 'A'}),
        b: cold('-x|', {x: 'B'}),
        c: cold('--x|', {x: 'C'}),
      };
      const source = hot('  abc|');
      expectObservable(source.pipe(operator(generator((r) => batches[r])))).toBe('-----A-B--C|');
      expectSubscriptions(batches['a'].subscriptions).toBe('^-----!');
      expectSubscriptions(batches['b'].subscriptions).toBe('------^-!');
      expectSubscriptions(batches['c'].subscriptions).toBe('--------^--!');
    });
  });

  it('completes without a request', () => {
    scheduler().run(({cold, expectObservable}) => {
      expectObservable(cold<string>('--|').pipe(operator(generator(() => of('never'))))).toBe('--|');
    });
  });

  it('ends with the error of a batch and asks for no other', () => {
    const asked: string[] = [];
    scheduler().run(({cold, expectObservable}) => {
      const generate = generator((request) => {
        asked.push(request);
        return request === 'b' ? throwError(() => new Error('lost')) : cold('-x|', {x: 'A'});
      });
      expectObservable(cold('(abc|)').pipe(operator(generate))).toBe('-A#', undefined, new Error('lost'));
    });
    expect(asked).to.deep.equal(['a', 'b']);
  });

  it('passes on the error of its source', () => {
    scheduler().run(({cold, expectObservable}) => {
      const generate = generator(() => cold('x|', {x: 'A'}));
      expectObservable(cold('a--#').pipe(operator(generate))).toBe('A--#');
    });
  });

  it('lets go of the batch under way when nobody listens any more', () => {
    scheduler().run(({cold, expectObservable, expectSubscriptions}) => {
      const batch = cold('-----x|', {x: 'A'});
      expectObservable(cold('ab|').pipe(operator(generator(() => batch))), '---!').toBe('----');
      expectSubscriptions(batch.subscriptions).toBe('^--!');
    });
  });

  /** Generators that end when they are told to, and what was said to them. */
  function held(): {generate: Generator; signals: AbortSignal[]; finish: (() => void)[]} {
    const signals: AbortSignal[] = [];
    const finish: (() => void)[] = [];
    const generate: Generator = (_, __, signal) => {
      signals.push(signal!);
      return new Promise((resolve) => finish.push(() => resolve({} as Trajectories)));
    };
    return {generate, signals, finish};
  }
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it('aborts the batch under way when nobody listens any more, and no batch before', async () => {
    const {generate, signals, finish} = held();
    const requests = [1, 2, 3].map((n) => ({iteration: n}) as GenerateRequest);
    const seen: unknown[] = [];
    const subscription = from(requests)
      .pipe(rollout(generate, policy))
      .subscribe((t) => seen.push(t));
    finish[0]();
    await settled();
    expect(signals).to.have.length(2);
    expect(signals[1].aborted).to.equal(false);
    subscription.unsubscribe();
    expect(signals[1].aborted).to.equal(true);
    finish[1]();
    await settled();
    expect([signals.length, seen.length]).to.deep.equal([2, 1]);
  });

  it('tells of every batch that it begins', async () => {
    const {generate, finish} = held();
    const begun: Promise<unknown>[] = [];
    const subscription = from([{} as GenerateRequest])
      .pipe(rollout(generate, policy, (work) => begun.push(work)))
      .subscribe();
    subscription.unsubscribe();
    expect(begun).to.have.length(1);
    let ended = false;
    void begun[0].then(() => (ended = true));
    await settled();
    expect(ended).to.equal(false);
    finish[0]();
    await settled();
    expect(ended).to.equal(true);
  });

  it('ends with what the generator throws before it begins', async () => {
    const generate: Generator = () => {
      throw new Error('no device');
    };
    const error = await rejection(
      new Promise<Trajectories>((resolve, reject) =>
        from([{} as GenerateRequest])
          .pipe(rollout(generate, policy))
          .subscribe({next: resolve, error: reject}),
      ),
    );
    expect(error.message).to.equal('no device');
  });
});
