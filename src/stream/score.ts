/** Trajectories → scored trajectories, order kept, a few batches at a time. */
import type {OperatorFunction} from 'rxjs';
import type {Scored} from '../algorithm.js';
import type {Reward} from '../reward.js';
import type {Trajectories} from '../rollout/generate.js';
import {scoreParts} from '../rollout/scoreVideos.js';
import {mergeInOrder} from './mergeInOrder.js';

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
  return mergeInOrder((trajectories) => {
    const work = scoreOne(trajectories);
    begun(work);
    return work;
  }, concurrency);
};
