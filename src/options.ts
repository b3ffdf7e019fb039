/**
 * Options that several algorithms share, as pieces of a schema: each knob's unit, meaning, range and default in one place.
 *
 * An algorithm's own schema spreads the pieces that it uses, and adds or redefines what is particular to it:
 * `z.strictObject({...optimizerOptions, ...policyGradientOptions, clipRange: z.number().positive().default(5e-5)})`.
 */
import {z} from 'zod';
import type {OptimizerOptions} from './algorithm.js';

/** AdamW with gradient clipping and an average of the weights. */
export const optimizerOptions = {
  learningRate: z.number().positive().default(1e-4).describe('Step size of AdamW; > 0.'),
  warmup: z
    .int()
    .min(0)
    .default(0)
    .describe('Updates over which the step size grows from 0 to learningRate, linearly; 0: none; ≥ 0.'),
  schedule: z
    .enum(['constant', 'linear', 'cosine'])
    .default('constant')
    .describe('How the step size goes on after the warm-up: it stays, or falls to finalRate over scheduleUpdates.'),
  scheduleUpdates: z
    .int()
    .min(0)
    .default(0)
    .describe(
      'Updates, warm-up included, after which a falling schedule has arrived at its end and stays there; a falling one wants it, since a run bounded by minutes has no length; ≥ 0.',
    ),
  finalRate: z
    .number()
    .min(0)
    .max(1)
    .default(0.1)
    .describe('Where a falling schedule ends, as a share of learningRate; in [0, 1].'),
  adamBeta1: z.number().min(0).lt(1).default(0.9).describe("Decay of AdamW's first moment; in [0, 1)."),
  adamBeta2: z.number().min(0).lt(1).default(0.999).describe("Decay of AdamW's second moment; in [0, 1)."),
  weightDecay: z
    .number()
    .min(0)
    .default(0)
    .describe('Decoupled weight decay, as a fraction of the weight per unit of learning rate; ≥ 0.'),
  maxGradNorm: z.number().positive().default(1).describe('Gradients with a larger global L2 norm are scaled down to it; > 0.'),
  emaDecay: z
    .number()
    .min(0)
    .lt(1)
    .default(0.9)
    .describe(
      'Decay per update of the averaged weights that are evaluated and saved; 0 evaluates the trained weights; in [0, 1).',
    ),
};

/** The learner's settings, from the options of an algorithm that spreads {@link optimizerOptions}. */
export const optimizerOf = (o: z.output<z.ZodObject<typeof optimizerOptions>>): OptimizerOptions => ({
  learningRate: o.learningRate,
  warmup: o.warmup,
  schedule: o.schedule,
  scheduleUpdates: o.scheduleUpdates,
  finalRate: o.finalRate,
  beta1: o.adamBeta1,
  beta2: o.adamBeta2,
  weightDecay: o.weightDecay,
  maxGradientNorm: o.maxGradNorm,
  averageDecay: o.emaDecay,
});

/** What is wrong with the step size's course, by key: a falling one has to know where it ends. */
export function scheduleFault({schedule, scheduleUpdates, warmup}: Readonly<Record<string, unknown>>): string | undefined {
  if (schedule !== 'linear' && schedule !== 'cosine') return undefined;
  if ((scheduleUpdates as number) > (warmup as number)) return undefined;
  return `wanted more updates than the warm-up of ${String(warmup)}, over which schedule ${schedule} falls; got ${String(scheduleUpdates)}. An iteration is innerEpochs × minibatches updates`;
}

/** Keys of the step size's course that change nothing beside the others, and why. */
export const idleSchedule = ({schedule}: Readonly<Record<string, unknown>>): {key: string; reason: string}[] =>
  schedule === 'constant'
    ? ['scheduleUpdates', 'finalRate'].map((key) => ({key, reason: 'schedule is constant; linear or cosine falls'}))
    : [];

/** The clipped policy gradient over denoising steps. */
export const policyGradientOptions = {
  timestepFraction: z
    .number()
    .gt(0)
    .max(1)
    .default(1)
    .describe('Part of the sampling steps that carry gradient, rounded down but at least one; in (0, 1].'),
  innerEpochs: z.int().min(1).default(1).describe('Passes over the samples of one iteration; ≥ 1.'),
  minibatches: z
    .int()
    .min(1)
    .default(1)
    .describe('Updates per inner epoch: the samples are split into so many parts, which must come out even; ≥ 1.'),
  clipRange: z
    .number()
    .positive()
    .default(1e-4)
    .describe(
      'The probability ratio is clipped to 1 ± this; small, since log-probabilities are means over latent elements; > 0.',
    ),
  advantageClip: z.number().positive().default(5).describe('Advantages are clamped to ± this, in standard deviations; > 0.'),
  klCoefficient: z
    .number()
    .min(0)
    .default(0)
    .describe(
      'Weight of the divergence from the starting policy in the loss, per nat and latent element; 0 keeps no reference; ≥ 0.',
    ),
};

/** A window of noisy steps in trajectories that are deterministic otherwise. */
export const windowOptions = {
  windowSize: z
    .int()
    .min(0)
    .default(2)
    .describe('Stochastic steps of a trajectory, in a window at a random place; 0: every step but the last; ≥ 0.'),
  windowFrom: z
    .number()
    .min(0)
    .lt(1)
    .default(0.5)
    .describe('Share of the steps, from the first, that no window begins in; in [0, 1).'),
  sharedStart: z
    .boolean()
    .default(true)
    .describe('Samples of a prompt start from one initial noise and share the steps before the window.'),
};

/** Times at which finished clips are noised anew. */
export const noisingOptions = {
  timeMean: z
    .number()
    .min(-5)
    .max(5)
    .default(0.7)
    .describe('Mean of ln(t/(1 − t)) over the draws of t; above 0 favours much noise; in [−5, 5].'),
  timeDeviation: z.number().min(0).max(3).default(1).describe('Deviation of ln(t/(1 − t)); 0: one t for all; in [0, 3].'),
};

/** Settings of a run that change nothing where rollouts have no noise (`deterministic`), and why. */
export const idleWithoutNoise = ({sampler}: Readonly<Record<string, unknown>>): {key: string; reason: string}[] => [
  {key: 'noiseLevel', reason: 'rollouts follow the ODE, whose steps have no noise'},
  ...(sampler === 'cps' || sampler === 'danceSde'
    ? [{key: 'sampler', reason: 'rollouts follow the ODE, which is the same for flowSde, cps and danceSde; ddim has another'}]
    : []),
];

/** What holds the step that no reward reaches. */
export const anchorOption = {
  anchorCoefficient: z
    .number()
    .min(0)
    .default(0.5)
    .describe(
      'Weight of mean (x̂0 − x̂0 of the starting policy)² at the last step, which has no noise and which no reward reaches; ≥ 0.',
    ),
};

/** Consistency distillation from the policy that training began with. */
export const distillationOptions = {
  distillationWeight: z
    .number()
    .min(0)
    .default(0)
    .describe('Weight λ of the consistency distillation from the starting policy; 0 leaves it out; ≥ 0.'),
  distillationSteps: z
    .int()
    .min(1)
    .max(1000)
    .default(50)
    .describe('Steps of the flow from noise to video of which the teacher takes one; 1 to 1000.'),
  distillationTarget: z
    .enum(['self', 'average'])
    .default('self')
    .describe('Whose jump is the target: self: the present policy; average: the average over its updates.'),
  huberWidth: z
    .number()
    .positive()
    .default(1e-3)
    .describe('c of the pseudo-Huber distance: below it errors count by their squares; latent units, > 0.'),
};

/** Keys of the distillation that change nothing where its weight is 0, and why. */
export const idleDistillation = ({distillationWeight}: Readonly<Record<string, unknown>>): {key: string; reason: string}[] =>
  distillationWeight === 0
    ? ['distillationTarget', 'huberWidth', 'distillationSteps'].map((key) => ({key, reason: 'distillationWeight is 0'}))
    : [];

/** Other projects' names for our keys, so that `did you mean` knows what a newcomer means. */
export const peerNames: Readonly<Record<string, string>> = {
  lr: 'learningRate',
  adv_clip_max: 'advantageClip',
  beta: 'klCoefficient',
  kl_coef: 'klCoefficient',
  kl_beta: 'klCoefficient',
  beta_dpo: 'beta',
  kl_mask_threshold: 'klThreshold',
  bestofn: 'bestOf',
  best_of_n: 'bestOf',
  iters_per_group: 'windowDwell',
  sde_window_size: 'windowSize',
  eta: 'noiseLevel',
  cfg: 'guidanceScale',
  cfg_scale: 'guidanceScale',
  lr_scheduler: 'schedule',
  lr_scheduler_type: 'schedule',
  lr_warmup_steps: 'warmup',
  trim_outliers_ratio: 'trimmedShare',
  trimmed_ratio: 'trimmedShare',
  warmup_steps: 'warmup',
  num_steps: 'samplingSteps',
  num_inference_steps: 'samplingSteps',
  sample_num_steps: 'samplingSteps',
  num_generations: 'samplesPerPrompt',
  group_size: 'samplesPerPrompt',
  groupSize: 'samplesPerPrompt',
  num_inner_epochs: 'innerEpochs',
  train_batch_size: 'minibatches',
  ema: 'emaDecay',
  save_freq: 'checkpointEvery',
  save_every: 'checkpointEvery',
  eval_freq: 'evaluation.every',
  num_checkpoint_limit: 'checkpointKeep',
  num_epochs: 'iterations',
  epochs: 'iterations',
  max_steps: 'iterations',
  reward_fn: 'reward',
  use_lora: 'tuning',
  lora_rank: 'loraRank',
  lora_r: 'loraRank',
  lora_alpha: 'loraAlpha',
  target_modules: 'loraTargets',
  lora_target_modules: 'loraTargets',
};
