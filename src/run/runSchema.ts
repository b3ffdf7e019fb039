/**
 * The configuration of a run: the keys of the frame, joined with those of the chosen algorithm.
 * The frame knows no algorithm, environment or reward by name: their names and defaults are given to it.
 */
import {z} from 'zod';
import {ContractError} from '../errors.js';

/** Sampling: how prompts become videos while learning. */
const sampling = {
  promptsPerIteration: z.int().min(1).default(8).describe('Prompts of one iteration; ≥ 1.'),
  samplesPerPrompt: z.int().min(1).default(8).describe('Videos per prompt and iteration, the group that is compared; ≥ 1.'),
  samplingSteps: z.int().min(1).max(1000).default(10).describe('Denoising steps of a trajectory; 1 to 1000.'),
  sampler: z
    .enum(['flowSde', 'ddim', 'cps', 'danceSde'])
    .default('flowSde')
    .describe('Transition kernel: flowSde (Flow-GRPO), ddim (DDPO), cps (coefficient-preserving), danceSde (DanceGRPO).'),
  noiseLevel: z
    .number()
    .gt(0)
    .default(0.7)
    .describe('Strength of the noise of a step: a of flowSde and cps, η of ddim and danceSde; dimensionless, > 0.'),
  guidanceScale: z
    .number()
    .min(1)
    .default(1)
    .describe('Classifier-free guidance, the same in sampling and learning; 1 is off; ≥ 1.'),
  overlapRollouts: z
    .boolean()
    .default(false)
    .describe(
      'Whether the next rollouts are made and scored while the updates run, by the policy before them: one-step off-policy, corrected by the ratio.',
    ),
};

const evaluation = z
  .strictObject({
    prompts: z.int().min(2).default(64).describe('Held-out prompts that are scored before and after; ≥ 2.'),
    steps: z.int().min(1).max(1000).default(16).describe('Sampling steps of an evaluated video, without noise; 1 to 1000.'),
    every: z.int().min(0).default(0).describe('Iterations between evaluations in between; 0: only before and after.'),
  })
  .prefault({});

const monitor = z
  .strictObject({
    every: z
      .int()
      .min(0)
      .default(20)
      .describe('Iterations between looks at held-out clips for signs of reward hacking; 0: none; ≥ 0.'),
    prompts: z.int().min(2).default(16).describe('Held-out prompts of a look; ≥ 2.'),
    samples: z.int().min(2).default(2).describe('Clips of each of them, whose distances are the diversity; ≥ 2.'),
    stop: z.boolean().default(false).describe('Whether an alarm of the monitor ends the run.'),
  })
  .prefault({});

/** What is optimised, and what that is made of. */
export const rewardSettings = {
  reward: z
    .string()
    .min(1)
    .describe(
      'What is optimised: a reward, an expression such as "quality + 0.5*semantic", a file ./mine.ts#name, or the URL of a server.',
    ),
  rewards: z
    .record(z.string(), z.string())
    .default({})
    .describe('Names of your own for use in the expression, each a file or a server: mine: ./mine.ts#redness.'),
  encoder: z
    .string()
    .min(1)
    .default('shipped')
    .describe('Video-text encoder of rewards that look through one: "shipped", a name, or a file of rlft pretrain encoder.'),
  transport: z
    .string()
    .min(1)
    .default('shipped')
    .describe('Transport map of the quality reward: "shipped", or a file of rlft fit transport.'),
  preference: z
    .string()
    .min(1)
    .default('none')
    .describe('Network of the preference reward: a file of rlft fit preference; none ships.'),
};

/** Layers that an adapter changes unless it is told otherwise: attention's projections and the network of every block. */
export const defaultTargets: readonly string[] = [
  'attention.qkv',
  'attention.text',
  'attention.out',
  'feedForward.in',
  'feedForward.out',
];

/** What of the policy learns. */
const tuned = {
  tuning: z
    .enum(['full', 'lora'])
    .default('full')
    .describe('What learns: full, the whole denoising network; lora, a low-rank adapter of some of its weights.'),
  loraRank: z.int().min(1).default(16).describe('Rank r of the adapter; ≥ 1, at most the smaller side of a weight.'),
  loraAlpha: z.number().positive().default(32).describe('The adapter is scaled by α/r: this is α; > 0.'),
  loraTargets: z
    .array(z.string().min(1))
    .min(1)
    .default([...defaultTargets])
    .describe('Layers that are adapted, by the ends of their names: "attention.qkv" is that layer of every block.'),
};

/** Settings of every command that computes. */
export const deviceSettings = {
  device: z.string().min(1).default('cpu').describe('Where numbers are computed; `rlft doctor` lists the devices.'),
  threads: z.int().min(0).max(1024).default(0).describe('Threads of the device; 0: one per physical core.'),
};

const frame = {
  algorithm: z.string().min(1).describe('Name of the algorithm.'),
  environment: z.string().min(1).describe('Name of the world to generate in.'),
  preset: z.string().min(1).describe('Which size of the world and of its policy.'),
  policy: z
    .string()
    .min(1)
    .default('shipped')
    .describe('Weights to start from: a safetensors file, a run folder, or "shipped" for those of the preset.'),
  ...tuned,
  ...rewardSettings,
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(42)
    .describe('Everything random is drawn from it; 0 to 4294967295.'),
  ...deviceSettings,
  iterations: z.int().min(1).optional().describe('Stop after so many iterations; ≥ 1.'),
  minutes: z
    .number()
    .positive()
    .optional()
    .describe('Stop learning after so many minutes; > 0. With iterations: whichever is first.'),
  ...sampling,
  evaluation,
  monitor,
  checkpointEvery: z.int().min(1).default(10).describe('Iterations between checkpoints; ≥ 1. One is always written at the end.'),
  checkpointKeep: z.int().min(1).default(3).describe('Checkpoints that are kept, the newest; ≥ 1.'),
  sampleEvery: z.int().min(0).default(10).describe('Iterations between pictures of the fixed prompts; 0: only before and after.'),
};

type Frame = z.output<z.ZodObject<typeof frame>>;
type FrameKey = keyof typeof frame;

/** The checked keys of the frame; at least one of `iterations` and `minutes` is there. */
export type RunConfig = Readonly<Frame>;

/** What an algorithm and the chosen plug-ins say about the configuration. */
export interface RunSchemaParts<O extends z.ZodRawShape> {
  /** The algorithm's own keys. */
  readonly options: z.ZodObject<O>;
  /**
   * Defaults of the frame's keys: those it has none for (`algorithm`, `environment`, `preset`, `reward`), and those that the
   * algorithm wants otherwise. `minutes` holds if neither `iterations` nor `minutes` is given.
   */
  readonly defaults: Partial<Frame>;
  /** What no single key can say; `complain` names the key at fault. Called with keys that are each valid. */
  readonly check?: (config: RunConfig & z.output<z.ZodObject<O>>, complain: (key: string, message: string) => void) => void;
}

/**
 * The strict schema of a run.
 *
 * @throws ContractError if the algorithm has a key of the frame's name.
 */
export function runSchema<O extends z.ZodRawShape>(parts: RunSchemaParts<O>): z.ZodType<RunConfig & z.output<z.ZodObject<O>>> {
  for (const key of Object.keys(parts.options.shape)) {
    if (key in frame)
      throw new ContractError(`config: the algorithm's option "${key}" is a key of every run; give it a default instead.`);
  }
  const {minutes, ...defaults} = parts.defaults;
  const shape: Record<string, z.ZodType> = {...frame, ...(parts.options.shape as unknown as Record<string, z.ZodType>)};
  for (const [key, value] of Object.entries(defaults)) {
    const description = frame[key as FrameKey].description ?? '';
    shape[key] = z.prefault(shape[key], value).describe(description);
  }
  type Config = RunConfig & z.output<z.ZodObject<O>>;
  return z
    .strictObject(shape)
    .superRefine((config, context) => {
      parts.check?.(config as Config, (key, message) => context.addIssue({code: 'custom', path: key.split('.'), message}));
    })
    .transform((config) => withBudget(config, minutes) as Config);
}

/** Adds the default budget where none was given, in its place among the keys. */
function withBudget(config: Record<string, unknown>, minutes: number | undefined): Record<string, unknown> {
  if (config['iterations'] !== undefined || config['minutes'] !== undefined || minutes === undefined) return config;
  return Object.fromEntries(
    Object.entries(config).flatMap((entry) => (entry[0] === 'threads' ? [entry, ['minutes', minutes]] : [entry])),
  );
}
