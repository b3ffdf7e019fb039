/**
 * Direct reward backpropagation: the reward is differentiable in the video and the video in the policy, so the policy climbs the
 * reward's own gradient.
 *
 *   L = λ·L_CD − mean r̃(decode(x̂0)),   L_CD = mean [√(d² + c²) − c],   d = x̂0(x_t) − sg x̂0(z_s)
 *
 * x_t is a clean latent noised to a random time t, x̂0(x_t) the one-step jump from there, z_s where the starting policy's step from
 * t to s leads, and r̃ the reward, normalised among the samples of a prompt where that is asked for. L_CD, which is off by default,
 * lets one-step jumps land where the starting policy's walk ends: it makes a model that is to be sampled in a few jumps.
 *
 * The variants differ in how the video is reached that the gradient flows through:
 *
 *   draftK     the last K steps of the sampler
 *   oneStep    x_t at a random time, one jump: PISCES' recipe
 *   draftLv    the finished video noised to the last step's time, several times, one jump each
 *   alignProp  the last k steps, k at random
 *   drTune     K steps spread over the sampler, their inputs taken as constant
 *   refl       one jump from one of the last steps, at random; the loss is a hinge
 *
 * Steps without gradient are the rollout's: they are in no graph, and cost no memory here.
 *
 * @source PISCES, arXiv:2602.01624, §3.4; DRaFT, arXiv:2309.17400. Deviations and the sources of the variants: docs/algorithms/direct.md.
 */
import * as tf from '@tensorflow/tfjs-core';
import {z} from 'zod';
import {
  chunks,
  detach,
  distillationOptions,
  distillationPoint,
  distillationRows,
  float32,
  gatherLatents,
  groupMeans,
  groupNormaliseTensor,
  idleDistillation,
  jumpBetween,
  learnWhole,
  meanOf,
  meanReports,
  noisedRows,
  optimizerOf,
  optimizerOptions,
  permutation,
  perRow,
  policyGradientOptions,
  prefixed,
  shuffled,
  teacherSteps,
  type Algorithm,
  type Branch,
  type DifferentiableReward,
  type LearnContext,
  type LossFunction,
  type NdArray,
  type NoiseKey,
  type Params,
  type Prompt,
  type Scored,
  type TrainState,
  type Transition,
  type UpdateReport,
} from '../src/plugin.js';

const options = z.strictObject({
  ...optimizerOptions,
  learningRate: optimizerOptions.learningRate.default(1e-4).describe('Step size of AdamW; > 0.'),
  innerEpochs: policyGradientOptions.innerEpochs,
  minibatches: policyGradientOptions.minibatches,
  variant: z
    .enum(['draftK', 'oneStep', 'draftLv', 'alignProp', 'drTune', 'refl'])
    .default('draftK')
    .describe('How the video is reached that the gradient flows through; see the loss.'),
  gradientSteps: z
    .int()
    .min(1)
    .default(1)
    .describe(
      'Sampling steps with gradient: K of draftK and drTune, the most of alignProp, the last ones that refl draws from; ≥ 1.',
    ),
  recompute: z
    .boolean()
    .default(false)
    .describe(
      'Whether predictions with gradient are computed again in the backward pass: memory of one instead of all, more time.',
    ),
  draws: z.int().min(1).default(2).describe('Noises that draftLv gives to each finished video; ≥ 1.'),
  rewardNormalisation: z
    .enum(['prompt', 'none'])
    .default('none')
    .describe('prompt: rewards have mean 0 and deviation 1 among the samples of a prompt; none: as they are.'),
  rewardMargin: z.number().default(2).describe("refl stops at rewards of this size; in the reward's unit."),
  ...distillationOptions,
  distillationSteps: distillationOptions.distillationSteps.describe(
    "Steps of the flow from noise to video of which the teacher takes one; oneStep's times are theirs; 1 to 1000.",
  ),
});
type Options = z.output<typeof options>;

type Tensors = Record<string, tf.Tensor>;
type Predict = (batch: Branch<tf.Tensor>) => tf.Tensor;

const lossOf =
  (o: Options): LossFunction =>
  (policy, batch, scalars) => {
    const {text, means} = batch as Tensors;
    const {distillationWeight, huberWidth, rewardMargin} = scalars as Tensors;
    const point = batch['point'] as Branch<tf.Tensor> | undefined;
    const predict: Predict = (question) => (o.recompute ? policy.predictRecomputed(question) : policy.predict(question));
    const jump = point && predict({...point, text});

    const x0 = o.variant === 'oneStep' ? jump! : reached(predict, batch);
    const rewards = policy.reward(x0, batch['prompts'] as Branch<tf.Tensor>);
    const sums = {reward: tf.sum<tf.Scalar>(rewards)};
    const climb = tf.sum<tf.Scalar>(
      o.variant === 'refl'
        ? tf.neg(tf.relu(tf.sub(rewardMargin, rewards)))
        : o.rewardNormalisation === 'prompt'
          ? groupNormaliseTensor(rewards, means)
          : rewards,
    );
    if (o.distillationWeight === 0) return {loss: tf.neg(climb), metrics: sums};

    const distillation = tf.sum<tf.Scalar>(distillationRows(policy, batch, jump!, o.distillationTarget, huberWidth));
    return {loss: tf.sub(tf.mul(distillationWeight, distillation), climb), metrics: {...sums, distillation}};
  };

/**
 * The clean latents through which the reward's gradient flows: what the sampler makes of `latent` in the steps given; or, of drTune,
 * `latent` itself, which moves with each step's prediction x̂0_k as the flow's step from t to t' does while its input and its velocity
 * elsewhere stand still: by (1 − t'/t)·dx̂0_k. Since the inputs are the rollout's, no step waits for another.
 */
function reached(predict: Predict, batch: Branch<tf.Tensor>): tf.Tensor {
  const {latent, text} = batch as Tensors;
  const steps = Object.values(batch['steps'] as Branch<tf.Tensor>) as Tensors[];
  return steps.reduce((x, {at, time, scale, a, b}) => {
    const x0 = predict({latent: at ?? x, time, scale, text});
    return at ? tf.add(x, tf.mul(perRow(b, x), tf.sub(x0, detach(x0)))) : meanOf({latent: x, x0, a, b});
  }, latent);
}

/** Rows of one clip in an update. */
const drawsOf = ({variant, draws}: Options): number => (variant === 'draftLv' ? draws : 1);

/** A clip of the rollout, in one update. */
interface Clip {
  /** Which of the scored batches, and the clip's row in it. */
  readonly batch: number;
  readonly row: number;
  /** Its number in the iteration. */
  readonly index: number;
  readonly prompt: Prompt;
}

/** What is drawn for one update. */
interface Draw {
  /** Step of the teacher's table for each prompt: its samples are compared, so they are noised alike. */
  readonly levelOf: (prompt: Prompt) => Transition;
  /** Sampling steps with gradient, in acting order. */
  readonly steps: readonly number[];
  /** Key of the noises, but for purpose, clip and draw. */
  readonly key: Pick<NoiseKey, 'seed' | 'iteration' | 'sample'>;
}

async function learnFrom(
  collected: readonly Scored[],
  state: TrainState,
  {learner, seed, reward}: LearnContext,
  o: Options,
): Promise<TrainState> {
  const iteration = state.iteration + 1;
  const groups = groupsOf(collected);
  const reports: UpdateReport[] = [];
  for (let epoch = 0; epoch < o.innerEpochs; epoch++) {
    const key = {seed, iteration, sample: epoch};
    const parts = chunks(shuffled(groups, {...key, purpose: 'directOrder'}), Math.ceil(groups.length / o.minibatches));
    for (const [i, part] of parts.entries()) {
      // The samples of a prompt are compared, so they stay together.
      const size = part[0].length * drawsOf(o);
      const draw = drawFor(part, collected[0].trajectories.table.length, {...key, step: i}, o);
      const batches = (function* () {
        for (const micro of chunks(part, Math.max(1, Math.floor(learner.microbatch / size))))
          yield gather(collected, micro.flat(), draw, reward!, o);
      })();
      reports.push(await learner.update(batches, size * part.length));
    }
  }
  const means = meanReports(reports, o.innerEpochs * o.minibatches);
  return {iteration, memory: null, metrics: prefixed('policy/', means)};
}

/** The clips of each prompt. */
function groupsOf(collected: readonly Scored[]): Clip[][] {
  const groups = new Map<string, Clip[]>();
  let index = 0;
  for (const [batch, {trajectories}] of collected.entries()) {
    for (const [row, prompt] of trajectories.prompts.entries())
      groups.set(prompt.id, [...(groups.get(prompt.id) ?? []), {batch, row, index: index++, prompt}]);
  }
  return [...groups.values()];
}

function drawFor(groups: readonly Clip[][], steps: number, key: Omit<NoiseKey, 'purpose'>, o: Options): Draw {
  const levels = teacherSteps(groups.length, o.distillationSteps, {...key, purpose: 'directLevels'});
  const levelOf = new Map(groups.map(([{prompt}], i) => [prompt.id, levels[i]]));
  const {step: _, ...noiseKey} = key;
  return {
    levelOf: ({id}) => levelOf.get(id)!,
    steps: stepsWithGradient(steps, {...key, purpose: 'directSteps'}, o),
    key: noiseKey,
  };
}

/** Which of a rollout's steps carry gradient in one update, in acting order; none where the video is reached by noising it anew. */
function stepsWithGradient(steps: number, key: NoiseKey, {variant, gradientSteps: most}: Options): number[] {
  const oneOf = (n: number): number => permutation(key, n)[0];
  const last = (n: number): number[] => Array.from({length: n}, (_, i) => steps - n + i);
  switch (variant) {
    case 'oneStep':
    case 'draftLv':
      return [];
    case 'draftK':
      return last(most);
    case 'alignProp':
      return last(1 + oneOf(most));
    case 'refl':
      return [steps - 1 - oneOf(most)];
    case 'drTune': {
      const stride = Math.floor(steps / most);
      const start = oneOf(steps - stride * (most - 1));
      return Array.from({length: most}, (_, i) => start + i * stride);
    }
  }
}

/** One microbatch: what the loss reads. */
function gather(scored: readonly Scored[], clips: readonly Clip[], draw: Draw, reward: DifferentiableReward, o: Options): Params {
  const draws = drawsOf(o);
  const rows = clips.flatMap((clip) => Array.from({length: draws}, () => clip));
  const prompts = rows.map(({prompt}) => prompt);
  const {table} = scored[0].trajectories;
  const latentsAt = (step: number): Params =>
    gatherLatents(
      scored,
      rows.map(({batch, row}) => ({batch, row, step})),
    );
  const {latent: clean, text} = latentsAt(table.length) as Record<string, NdArray<'float32'>>;
  const numbers = (of: (clip: Clip) => number): NdArray<'float32'> => float32(rows.map(of));
  const all = (value: number): NdArray<'float32'> => numbers(() => value);
  // The noise of each row is its clip's own, and its draw's.
  const keyOf =
    (purpose: string) =>
    (row: number): NoiseKey => ({...draw.key, purpose, prompt: rows[row].index, step: row % draws});

  const stepOf = ({time, scale, a, b}: Pick<Transition, 'time' | 'scale' | 'a' | 'b'>): Params => ({
    time: all(time),
    scale: all(scale),
    a: all(a),
    b: all(b),
  });
  const path = (): Params => {
    const {variant} = o;
    const last = table[table.length - 1];
    if (variant === 'draftLv') {
      const times = rows.map(() => last.time);
      return {
        latent: noisedRows(clean, times, keyOf('directDraws')),
        steps: {0: stepOf({time: last.time, scale: 1, a: 0, b: 1})},
      };
    }
    const [first] = draw.steps;
    if (variant === 'refl') return {latent: latentsAt(first)['latent'], steps: {0: stepOf({...table[first], a: 0, b: 1})}};
    const drTune = variant === 'drTune';
    const steps = draw.steps.map((k, i) => {
      const {time, nextTime} = table[k];
      return [
        i,
        drTune ? {...stepOf({...table[k], ...jumpBetween(time, nextTime)}), at: latentsAt(k)['latent']} : stepOf(table[k]),
      ];
    });
    return {latent: drTune ? clean : latentsAt(first)['latent'], steps: Object.fromEntries(steps) as Params};
  };
  return {
    text,
    prompts: reward.encode(prompts),
    ...(o.rewardNormalisation === 'prompt' && {means: groupMeans(prompts.map(({id}) => id))}),
    ...((o.variant === 'oneStep' || o.distillationWeight > 0) && {
      point: distillationPoint(
        clean,
        prompts.map((prompt) => draw.levelOf(prompt)),
        keyOf('directNoise'),
      ),
    }),
    ...(o.variant !== 'oneStep' && path()),
  };
}

/** Predictions with gradient of one clip in one pass: for estimates. */
const predictionsOf = ({variant, gradientSteps, draws}: Options): number => {
  if (variant === 'draftLv') return draws;
  return variant === 'oneStep' || variant === 'refl' ? 1 : gradientSteps;
};

/** Predictions of one clip that the distillation adds, in one pass: the jump, where the reward has none, the teacher, the target. */
const distilledOf = (o: Options): {gradient: number; frozen: number} => {
  const points = o.distillationWeight === 0 ? 0 : drawsOf(o);
  return {gradient: o.variant === 'oneStep' ? 0 : points, frozen: 2 * points};
};

/** Direct reward backpropagation as it is registered. */
export const direct: Algorithm<typeof options.shape> = {
  name: 'direct',
  summary:
    "the reward's own gradient through the last sampling steps (DRaFT) or one-step jumps, with consistency distillation (PISCES)",
  options,
  defaults: {
    reward: 'quality + semantic',
    promptsPerIteration: 8,
    samplesPerPrompt: 4,
    samplingSteps: 8,
    minutes: 2,
    evaluation: {prompts: 256, steps: 16, every: 0},
  },
  idle: (config) => idleIn(config as unknown as Options & {sampler: string}),
  needs: {differentiableReward: true},
  configure: (o) => ({
    loss: lossOf(o),
    scalars: {distillationWeight: o.distillationWeight, huberWidth: o.huberWidth, rewardMargin: o.rewardMargin},
    deterministic: true,
    sharedStart: false,
    initialMemory: null,
    work: {
      stepShare: 1,
      updatesPerIteration: o.innerEpochs * o.minibatches,
      predictions: o.innerEpochs * predictionsOf(o),
      distillation: {
        gradient: o.innerEpochs * distilledOf(o).gradient,
        frozen: o.innerEpochs * distilledOf(o).frozen,
      },
    },
    optimizer: optimizerOf(o),
    learn: learnWhole((collected, state, context) => learnFrom(collected, state, context, o)),
  }),
};

function idleIn(o: Options & {readonly sampler: string}): {key: string; reason: string}[] {
  return [
    {key: 'noiseLevel', reason: 'rollouts have no noise in their steps'},
    ...(o.sampler === 'ddim' ? [] : [{key: 'sampler', reason: 'without noise it is the same sampler as flowSde'}]),
    ...(o.variant === 'oneStep' || o.variant === 'draftLv' ? [{key: 'gradientSteps', reason: `${o.variant} has one`}] : []),
    ...(o.variant === 'draftLv' ? [] : [{key: 'draws', reason: 'only draftLv draws noises'}]),
    ...(o.variant === 'refl'
      ? [{key: 'rewardNormalisation', reason: 'refl compares rewards with rewardMargin'}]
      : [{key: 'rewardMargin', reason: 'only refl has one'}]),
    // The reward of oneStep is taken at the distillation's times, also without it.
    ...idleDistillation(o).filter(({key}) => key !== 'distillationSteps' || o.variant !== 'oneStep'),
  ];
}
