/** Trajectories → scored trajectories, order kept, a few batches at a time. */
import {from, mergeMap, type OperatorFunction} from 'rxjs';
import type {Scored} from '../algorithm.js';
import type {Reward} from '../reward.js';
import type {Trajectories} from '../rollout/generate.js';
import {scoreParts} from '../rollout/scoreVideos.js';

/**
 * Scores each batch as it arrives, so that scoring overlaps the next rollout.
 *
 * @param concurrency batches that are scored at once.
 * @param begun told of each batch, so that its end can be waited for where nobody listens any more: no reward can be interrupted.
 * @throws as `scoreVideos`; nothing downstream sees that batch.
 */
export const score = (
  reward: Reward,
  concurrency: number,
  begun: (work: Promise<unknown>) => void = () => undefined,
): OperatorFunction<Trajectories, Scored> => {
  const scoreOne = async (trajectories: Trajectories): Promise<Scored> => {
    const {scores, parts} = await scoreParts(reward, trajectories.videos, trajectories.prompts);
    return {trajectories, rewards: scores, parts, ...(reward.weights && {weights: reward.weights})};
  };
  return (trajectories$) => {
    // Started as they come, delivered in the order they came.
    const scored$ = trajectories$.pipe(
      mergeMap((t, i) => {
        const work = scoreOne(t);
        begun(work);
        return from(work.then((s) => [i, s] as const));
      }, concurrency),
    );
    return scored$.pipe(inOrder());
  };
};

/** Delivers numbered items by number. */
const inOrder = <T>(): OperatorFunction<readonly [number, T], T> => {
  return (numbered$) => {
    const waiting = new Map<number, T>();
    let next = 0;
    return numbered$.pipe(
      mergeMap(([i, item]) => {
        waiting.set(i, item);
        const ready: T[] = [];
        for (let found = waiting.get(next); found !== undefined; found = waiting.get(next)) {
          waiting.delete(next++);
          ready.push(found);
        }
        return ready;
      }),
    );
  };
};
