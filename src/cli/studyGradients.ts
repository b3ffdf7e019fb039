/** `rlft study gradients`: do the rewards pull a policy the same way? */
import {z} from 'zod';
import {rewards} from '../builtins.js';
import type {DifferentiableReward} from '../reward.js';
import {rewardSettings} from '../run/runSchema.js';
import {comparedRewards, gradientsStudy, type ComparedReward} from '../study/gradients.js';
import {readPolicy} from '../tune/policyWeights.js';
import {rewardContext, unturned} from '../tune/rewardContext.js';
import {drawsSetting, studySettings, type Studying} from './studying.js';

const schema = z.strictObject({
  ...studySettings,
  transport: rewardSettings.transport,
  policy: z
    .string()
    .min(1)
    .default('shipped')
    .describe('Policy whose gradients are compared: a safetensors file, or "shipped" for that of the preset.'),
  batches: z.int().min(10).default(200).describe('Batches, each with one gradient of each reward; ≥ 10.'),
  clips: z.int().min(1).default(8).describe('Clips of a batch; ≥ 1.'),
  margin: z.number().min(0).lt(1).default(0.02).describe('Smallest difference of a cosine that counts; in [0, 1).'),
  draws: drawsSetting,
});

/** Figure 10. */
export const gradientsStudying: Studying<z.output<typeof schema>> = {
  schema,
  files: ({transport}) => (transport === unturned.transport ? [] : [transport]),
  async run({encoder, transport, policy, batches, clips, margin, seed, draws}, {environment, device, report}) {
    const opened = rewardContext(environment, device, {...unturned, encoder, transport, reward: comparedRewards.join(', ')});
    const forms = {} as Record<ComparedReward, DifferentiableReward>;
    for (const name of comparedRewards) forms[name] = (await rewards.get(name).open(opened.context)).differentiable!;
    return gradientsStudy({
      environment,
      device,
      policy: (await readPolicy(environment, policy)).params,
      rewards: forms,
      batches,
      clips,
      margin,
      seed,
      draws,
      report,
    });
  },
};
