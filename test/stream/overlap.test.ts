import {expect} from 'chai';
import {map, Observable, type ObservableNotification} from 'rxjs';
import {TestScheduler} from 'rxjs/testing';
import {overlap} from '../../src/stream/overlap.js';

describe('overlap', () => {
  const scheduler = (): TestScheduler => new TestScheduler((actual, wanted) => void expect(actual).to.deep.equal(wanted));
  const outcome = (ahead: ObservableNotification<string>): string => {
    if (ahead.kind === 'C') return 'nothing';
    return ahead.kind === 'N' ? ahead.value : `error: ${(ahead.error as Error).message}`;
  };
  /** The operator, and what it emits in words. */
  const beside = (ahead$: Observable<string>) => (learnt$: Observable<string>) =>
    learnt$.pipe(
      overlap(ahead$),
      map(([learnt, ahead]) => `${learnt}, ${outcome(ahead)}`),
    );
  const made = {x: 'S, A'};

  it('learns and makes ahead at the same time, and emits when the later of them is done', () => {
    scheduler().run(({cold, expectObservable, expectSubscriptions}) => {
      const [learnt, ahead] = [cold<string>('---S|'), cold<string>('------A|')];
      expectObservable(learnt.pipe(beside(ahead))).toBe('------(x|)', made);
      expectSubscriptions(learnt.subscriptions).toBe('^---!');
      expectSubscriptions(ahead.subscriptions).toBe('^-----!');
      expectObservable(cold('------S|').pipe(beside(cold('--A|')))).toBe('-------(x|)', made);
    });
  });

  it('begins to learn first', () => {
    const begun: string[] = [];
    const noting = (name: string, then$: Observable<string>): Observable<string> =>
      new Observable((subscriber) => (begun.push(name), then$.subscribe(subscriber)));
    scheduler().run(({cold, expectObservable}) => {
      const learnt = cold('-S|');
      const wrapped = learnt.pipe((source) => beside(noting('ahead', cold('-A|')))(noting('learn', source)));
      expectObservable(wrapped).toBe('--(x|)', made);
    });
    expect(begun).to.deep.equal(['learn', 'ahead']);
  });

  it('takes the last state that was learnt', () => {
    scheduler().run(({cold, expectObservable}) => {
      expectObservable(cold('-RS|').pipe(beside(cold('A|')))).toBe('---(x|)', made);
    });
  });

  it('holds back an error ahead: what was learnt is good', () => {
    const error = new Error('lost');
    scheduler().run(({cold, expectObservable}) => {
      expectObservable(cold('----S|').pipe(beside(cold('--#', undefined, error)))).toBe('-----(x|)', {x: 'S, error: lost'});
    });
  });

  it('says that nothing was made ahead', () => {
    scheduler().run(({cold, expectObservable}) => {
      expectObservable(cold('--S|').pipe(beside(cold('-|')))).toBe('---(x|)', {x: 'S, nothing'});
    });
  });

  it('passes on an error of learning at once, and lets go of what is made ahead', () => {
    scheduler().run(({cold, expectObservable, expectSubscriptions}) => {
      const ahead = cold<string>('------A|');
      expectObservable(cold('--#', undefined, new Error('lost')).pipe(beside(ahead))).toBe('--#', undefined, new Error('lost'));
      expectSubscriptions(ahead.subscriptions).toBe('^-!');
    });
  });

  it('lets go of both when nobody listens any more', () => {
    scheduler().run(({cold, expectObservable, expectSubscriptions}) => {
      const [learnt, ahead] = [cold<string>('-----S|'), cold<string>('------A|')];
      expectObservable(learnt.pipe(beside(ahead)), '---!').toBe('----');
      for (const {subscriptions} of [learnt, ahead]) expectSubscriptions(subscriptions).toBe('^--!');
    });
  });
});
