/**
 * The world's own truth as a reward: an oracle. It shows what an optimizer can do with a perfect reward, and it is the ceiling of
 * every comparison; since it is also what evaluations are scored by, it proves nothing about rewards that have to guess.
 */
import type {RewardModule} from '../src/plugin.js';

/** The judge's total of each clip, (4·quality + semantic)/5. */
export const judge: RewardModule = {
  name: 'judge',
  unit: '1',
  summary: "the world's own truth, an oracle: (4·quality + semantic)/5 of each clip",
  open: async (context) => {
    const judge = context.judge();
    return {
      name: 'judge',
      unit: '1',
      score: async (videos, prompts) =>
        Float32Array.from(await judge.judge(videos, prompts), (scores) => scores['total'] as number),
    };
  },
};
