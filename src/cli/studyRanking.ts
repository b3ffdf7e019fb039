/** `rlft study ranking`: do rewards rank a policy's samples as the judge does? */
import {z} from 'zod';
import {rewards as shipped} from '../builtins.js';
import {ConfigError} from '../errors.js';
import type {Reward, RewardModule} from '../reward.js';
import {resolveReward, rewardNamesIn, type RewardSources} from '../rewards/resolveReward.js';
import {rewardSettings} from '../run/runSchema.js';
import {rankingStudy} from '../study/ranking.js';
import {readPolicy} from '../tune/policyWeights.js';
import {rewardContext} from '../tune/rewardContext.js';
import {openIndependent} from '../tune/yardstick.js';
import {drawsSetting, samplesSettings, studySettings, type Studying} from './studying.js';

/** With transport, and without. */
const rivals = ['quality + semantic', 'similarity + matching'] as const;

const {reward: _one, ...settings} = rewardSettings;
const schema = z.strictObject({
  ...studySettings,
  compared: z
    .array(z.string().min(1))
    .min(1)
    .default(['quality', 'semantic', rivals[0], 'similarity', 'matching', rivals[1]])
    .describe('Rewards to compare, each as in --reward of a run: a name, an expression, a file, or the URL of a server.'),
  ...settings,
  prompts: z.int().min(2).default(256).describe('Held-out prompts whose samples are ranked; ≥ 2.'),
  ...samplesSettings,
  threshold: z
    .number()
    .min(-1)
    .lt(1)
    .default(0.15)
    .describe("What Kendall's τ with the judge's total has to be above; in [-1, 1)."),
  margin: z
    .number()
    .min(0)
    .lt(1)
    .default(0.01)
    .describe(
      `Smallest difference of τ that counts between "${rivals[0]}" and "${rivals[1]}", where both are compared; in [0, 1).`,
    ),
  draws: drawsSetting,
});

/** Of one's own rewards, those that a text of `compared` uses. */
function usedBy(source: string, own: RewardSources): RewardSources {
  const names = rewardNamesIn(source, shipped, own);
  return Object.fromEntries(Object.entries(own).filter(([name]) => names.includes(name)));
}

/** The rewards of a list, by the text that stands for each; nothing is opened. @throws as `resolveReward`. */
async function resolveAll(compared: readonly string[], own: RewardSources): Promise<ReadonlyMap<string, RewardModule>> {
  const modules = new Map<string, RewardModule>();
  for (const source of compared) modules.set(source, await resolveReward(source, shipped, usedBy(source, own)));
  return modules;
}

/** Not in the paper. */
export const rankingStudying: Studying<z.output<typeof schema>> = {
  schema,
  async check({compared, rewards, margin}) {
    const twice = compared.find((source, i) => compared.indexOf(source) < i);
    if (twice !== undefined) throw new ConfigError(`compared: wanted different rewards; got "${twice}" twice.`);
    const idle = Object.keys(rewards).find((name) => !compared.some((source) => Object.hasOwn(usedBy(source, rewards), name)));
    if (idle !== undefined) throw new ConfigError(`rewards.${idle}: has no effect in this study: no reward compared uses it.`);
    if (!rivals.every((rival) => compared.includes(rival)) && margin !== schema.shape.margin.parse(undefined))
      throw new ConfigError(`margin: has no effect in this study: it does not compare both "${rivals[0]}" and "${rivals[1]}".`);
    await resolveAll(compared, rewards);
  },
  async run(config, {environment, device, report}) {
    const {compared, prompts, samples, samplingSteps: steps, threshold, margin, seed, draws} = config;
    const {params: policy} = await readPolicy(environment, config.policy);
    const context = rewardContext(environment, device, {...config, reward: compared.join(', ')});
    const opened = new Map<string, Reward>();
    try {
      const judge = context.judge();
      if (!judge) throw new ConfigError(`study: ${environment.name} has no judge to rank samples.`);
      for (const [source, module] of await resolveAll(compared, config.rewards))
        opened.set(source, await module.open(context.context));
      context.checkUsed();
      const independent = await openIndependent(environment, device);
      if (independent) opened.set(`independent/${independent.name}`, independent);
      return await rankingStudy({
        environment,
        device,
        samples: {policy, judge, prompts, samples, steps, seed},
        rewards: opened,
        ...(rivals.every((rival) => opened.has(rival)) && {rivals}),
        threshold,
        margin,
        seed,
        draws,
        report,
      });
    } finally {
      for (const reward of opened.values()) await reward.close?.();
      await context.close();
    }
  },
};
