/** What a tuned policy is measured with beside its reward, and never optimised for: the world's judge, and an encoder kept apart. */
import {rewards} from '../builtins.js';
import type {Device} from '../engine/device.js';
import type {Environment, Judge, Prompt} from '../environment.js';
import type {Reward} from '../reward.js';
import {resolveReward} from '../rewards/resolveReward.js';
import {scoreVideos} from '../rollout/scoreVideos.js';
import {openFrozenEncoder} from '../run/frozenEncoder.js';
import type {NdArray} from '../tensor/ndarray.js';
import {contextThrough, unturned} from './rewardContext.js';

/** What is asked of the encoder that no reward looks through. */
const INDEPENDENT = 'similarity + matching';

/**
 * Opens the world's encoder that no reward may look through, as scores of clips; undefined if the world ships none.
 *
 * @source PISCES, arXiv:2602.01624, table 10: prompts compared by an encoder that was not rewarded.
 */
export async function openIndependent(environment: Environment, device: Device): Promise<Reward | undefined> {
  const module = environment.encoders?.find(({independent, weights}) => independent === true && weights !== undefined);
  if (!module) return undefined;
  const reward = await resolveReward(INDEPENDENT, rewards);
  const {context} = contextThrough(environment, device, {...unturned, reward: INDEPENDENT}, () =>
    openFrozenEncoder(environment, module.name),
  );
  return reward.open(context);
}

/** Scores clips; nothing is optimised for it. */
export interface Yardstick {
  /** As in metrics, such as `judge/total`. */
  readonly name: string;
  /** One score a clip. */
  score(videos: NdArray<'float32'>, prompts: readonly Prompt[]): Promise<readonly number[]>;
}

/** The judge, unless it is what is optimised; else the independent encoder; undefined if there is neither. */
export function yardstickOf(
  reward: Pick<Reward, 'name' | 'parts'>,
  judge: Judge | undefined,
  independent: Reward | undefined,
): Yardstick | undefined {
  const judged = [reward, ...(reward.parts ?? [])].some(({name}) => name === 'judge');
  if (judge && !judged) {
    return {
      name: 'judge/total',
      score: async (videos, prompts) => (await judge.judge(videos, prompts)).map((one) => judge.aggregate([one])['total']),
    };
  }
  return (
    independent && {
      name: `independent/${independent.name}`,
      score: async (videos, prompts) => Array.from(await scoreVideos(independent, videos, prompts)),
    }
  );
}
