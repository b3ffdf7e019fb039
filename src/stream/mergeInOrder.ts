/** Work on several items at once, whose results come in the order of the items. */
import {defer, from, map, mergeMap, type ObservableInput, type OperatorFunction} from 'rxjs';

/**
 * Starts work on each item as it comes, and delivers what it gives in the order in which items came.
 *
 * @param work gives one value for an item.
 * @param concurrency items that are worked on at once; others wait.
 */
export const mergeInOrder =
  <A, B>(work: (item: A) => ObservableInput<B>, concurrency: number): OperatorFunction<A, B> =>
  (items$) =>
    // Numbers begin anew with each subscriber.
    defer(() => {
      const waiting = new Map<number, B>();
      let next = 0;
      return items$.pipe(
        mergeMap((item, i) => from(work(item)).pipe(map((value) => [i, value] as const)), concurrency),
        mergeMap(([i, value]) => {
          waiting.set(i, value);
          const ready: B[] = [];
          while (waiting.has(next)) {
            ready.push(waiting.get(next)!);
            waiting.delete(next++);
          }
          return ready;
        }),
      );
    });
