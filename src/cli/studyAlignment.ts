/** `rlft study alignment`: what do maps of captions to videos do to an encoder's space? */
import {z} from 'zod';
import {ConfigError} from '../errors.js';
import {alignmentStudy} from '../study/alignment.js';
import {readPolicy} from '../tune/policyWeights.js';
import {mapSettings, pairSettings} from './fitTransport.js';
import {samplesSettings, studySettings, type Studying} from './studying.js';

const schema = z.strictObject({
  ...studySettings,
  ...pairSettings,
  ...mapSettings,
  prompts: z.int().min(0).default(256).describe('Held-out prompts whose samples are ranked; 0: none are.'),
  ...samplesSettings,
  margin: z.number().min(0).lt(1).default(0.005).describe('Smallest difference that counts; ≥ 0.'),
  draws: z.int().min(100).default(300).describe('Draws of the bootstrap; ≥ 100.'),
});
type AlignmentConfig = z.output<typeof schema>;

/** Settings that say nothing where no samples are ranked. */
const ranking = Object.keys(samplesSettings) as (keyof typeof samplesSettings)[];

/** Table 4, figures 5 and 6. */
export const alignmentStudying: Studying<AlignmentConfig> = {
  schema,
  check(config) {
    const idle = config.prompts > 0 ? undefined : ranking.find((key) => config[key] !== schema.parse({})[key]);
    if (idle) throw new ConfigError(`${idle}: has no effect in this study: prompts is 0, so no samples are ranked.`);
  },
  async run(config, {environment, frozen, device, folder, report}) {
    const {clips, pairs, heldOut, neighbours, seed, draws, margin, epsilon, planSize, prompts, samples} = config;
    const policy = prompts > 0 ? await readPolicy(environment, config.policy) : undefined;
    const judge = prompts > 0 ? environment.openJudge?.(1) : undefined;
    if (prompts > 0 && !judge) throw new ConfigError(`study: ${environment.name} has no judge to rank samples; set prompts 0.`);
    try {
      return await alignmentStudy({
        environment,
        frozen,
        device,
        clips,
        pairs,
        heldOut,
        maps: {trained: config, solved: {relativeEpsilon: epsilon, planSize}, seed},
        neighbours,
        ranking:
          policy && judge ? {policy: policy.params, judge, prompts, samples, steps: config.samplingSteps, seed} : undefined,
        margin,
        seed,
        draws,
        folder,
        report,
      });
    } finally {
      await judge?.close();
    }
  },
};
