/** Trajectories → scored trajectories, order kept, a few batches at a time. */
import {from, mergeMap, type OperatorFunction} from 'rxjs';
import type {Scored} from '../algorithm.js';
import {ContractError, NonFiniteError} from '../errors.js';
import type {Reward} from '../reward.js';
import type {Trajectories} from '../rollout/generate.js';

/**
 * Scores each batch as it arrives, so that scoring overlaps the next rollout.
 *
 * @param concurrency batches that are scored at once.
 * @throws NonFiniteError with the prompt's name if a reward is missing or not finite; nothing downstream sees that batch.
 */
export const score = (reward: Reward, concurrency: number): OperatorFunction<Trajectories, Scored> => {
  const scoreOne = async (trajectories: Trajectories): Promise<Scored> => {
    const rewards = await reward.score(trajectories.videos, trajectories.prompts);
    if (rewards.length !== trajectories.prompts.length) {
      throw new ContractError(
        `reward "${reward.name}": wanted ${trajectories.prompts.length} scores, one a video; got ${rewards.length}.`,
      );
    }
    const bad = rewards.findIndex((r) => !Number.isFinite(r));
    if (bad >= 0)
      throw new NonFiniteError(
        `reward "${reward.name}" is ${rewards[bad]} for prompt "${trajectories.prompts[bad].text}"; nothing was applied.`,
      );
    return {trajectories, rewards};
  };
  return (trajectories$) => {
    // Started as they come, delivered in the order they came.
    const scored$ = trajectories$.pipe(mergeMap((t, i) => from(scoreOne(t).then((s) => [i, s] as const)), concurrency));
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
