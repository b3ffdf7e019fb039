import {expect} from 'chai';
import {throwError, type Observable} from 'rxjs';
import {TestScheduler} from 'rxjs/testing';
import {mergeInOrder} from '../../src/stream/mergeInOrder.js';

describe('mergeInOrder', () => {
  const scheduler = (): TestScheduler => new TestScheduler((actual, wanted) => void expect(actual).to.deep.equal(wanted));
  type Work = Record<string, Observable<string>>;
  const operator = (work: Work, concurrency: number) => mergeInOrder((item: string) => work[item], concurrency);

  it('delivers in the order of the items, however long each one takes', () => {
    scheduler().run(({cold, hot, expectObservable}) => {
      const work: Work = {a: cold('-----A-----|'), b: cold('-B|'), c: cold('--C|')};
      // A group takes as many frames as it has characters.
      expectObservable(hot('  abc|').pipe(operator(work, 3))).toBe('-----(ABC)-|');
    });
  });

  it('delivers at once what is next', () => {
    scheduler().run(({cold, hot, expectObservable}) => {
      const work: Work = {a: cold('-A|'), b: cold('-----B---|'), c: cold('-C|')};
      expectObservable(hot('  abc|').pipe(operator(work, 3))).toBe('-A----(BC)|');
    });
  });

  it('works on as many items as it may, and begins another when one is done', () => {
    scheduler().run(({cold, hot, expectObservable, expectSubscriptions}) => {
      const work = {a: cold<string>('---A|'), b: cold<string>('-B|'), c: cold<string>('-C----|')};
      expectObservable(hot('       (abc|)').pipe(operator(work, 2))).toBe('---(ABC)|');
      expectSubscriptions(work.a.subscriptions).toBe('^---!');
      expectSubscriptions(work.b.subscriptions).toBe('^-!');
      expectSubscriptions(work.c.subscriptions).toBe('--^-----!');
    });
  });

  it('has numbers of its own for each subscriber', () => {
    scheduler().run(({cold, expectObservable}) => {
      const items = cold('ab|').pipe(operator({a: cold('--A---|'), b: cold('-B|')}, 2));
      expectObservable(items).toBe('--(AB)|');
      expectObservable(items).toBe('--(AB)|');
    });
  });

  it('delivers a value that is undefined', () => {
    scheduler().run(({cold, expectObservable}) => {
      const nothing = cold('-u|', {u: undefined});
      expectObservable(cold('a|').pipe(mergeInOrder(() => nothing, 1))).toBe('-u|', {u: undefined});
    });
  });

  it('ends with the first error, of an item or of its source, and lets the others go', () => {
    scheduler().run(({cold, hot, expectObservable, expectSubscriptions}) => {
      const slow = cold<string>('------A|');
      const work: Work = {a: slow, b: cold('-#', undefined, new Error('lost'))};
      expectObservable(hot('ab|').pipe(operator(work, 2))).toBe('--#', undefined, new Error('lost'));
      expectSubscriptions(slow.subscriptions).toBe('^-!');
      expectObservable(cold('--#').pipe(operator({}, 2))).toBe('--#');
      const thrown = mergeInOrder<string, string>(() => throwError(() => new Error('at once')), 1);
      expectObservable(cold('-a').pipe(thrown)).toBe('-#', undefined, new Error('at once'));
    });
  });

  it('lets go of everything under way when nobody listens any more, and begins nothing', () => {
    scheduler().run(({cold, expectObservable, expectSubscriptions}) => {
      const [one, two] = [cold<string>('-----A|'), cold<string>('-----B|')];
      expectObservable(cold('(ab|)').pipe(operator({a: one, b: two}, 1)), '---!').toBe('----');
      expectSubscriptions(one.subscriptions).toBe('^--!');
      expectSubscriptions(two.subscriptions).toBe([]);
    });
  });
});
