/**
 * Direct reward backpropagation: the reward is differentiable in the video and the video in the policy, so the policy climbs the
 * reward's own gradient.
 *
 *   L = λ·L_CD − mean r̃(decode(x̂0)),   L_CD = mean [√(d² + c²) − c],   d = x̂0(x_t) − sg x̂0(z_s)
 *
 * x_t is a clean latent noised to a random time t, x̂0(x_t) the one-step jump from there, z_s where the starting policy's step from
 * t to s leads, and r̃ the reward, normalised among the samples of a prompt where that is asked for. L_CD keeps one-step jumps and
 * the sampler's walk at one, and at the last step the policy with the one that training began with: it is what stands against videos
 * that only the reward likes.
 *
 * The other variants differ in how the video is reached that the gradient flows through:
 *
 *   oneStep    x_t at a random time, one jump
 *   draftK     the last K steps of the sampler
 *   draftLv    the finished video noised to the last step's time, several times, one jump each
 *   alignProp  the last k steps, k at random
 *   drTune     K steps spread over the sampler, their inputs taken as constant
 *   refl       one jump from one of the last steps, at random; the loss is a hinge
 *
 * Steps without gradient are the rollout's: they are in no graph, and cost no memory here.
 *
 * @source PISCES, arXiv:2602.01624, §3.4. Deviations and the sources of the variants: docs/algorithms/direct.md.
 */
import * as tf from '@tensorflow/tfjs-core';
import {z} from 'zod';
import {
  chunks,
  consistencyLoss,
  detach,
  float32,
  gatherLatents,
  groupMeans,
  groupNormaliseTensor,
  jumpBetween,
  learnWhole,
  meanOf,
  meanReports,
  ndarray,
  normals,
  odeTable,
  optimizerOf,
  optimizerOptions,
  permutation,
  perRow,
  policyGradientOptions,
  prefixed,
  shuffled,
  type Algorithm,
  type Branch,
  type DifferentiableReward,
  type Jump,
  type Jumps,
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
  learningRate: optimizerOptions.learningRate.default(1e-5).describe('Step size of AdamW; > 0.'),
  innerEpochs: policyGradientOptions.innerEpochs,
  minibatches: policyGradientOptions.minibatches,
  variant: z
    .enum(['oneStep', 'draftK', 'draftLv', 'alignProp', 'drTune', 'refl'])
    .default('oneStep')
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
  distillationWeight: z
    .number()
    .min(0)
    .default(10)
    .describe('Weight λ of the consistency distillation from the starting policy; 0 leaves it out; ≥ 0.'),
  distillationSteps: z
    .int()
    .min(1)
    .max(1000)
    .default(50)
    .describe("Steps of the flow from noise to video of which the teacher takes one; oneStep's times are theirs; 1 to 1000."),
  distillationTarget: z
    .enum(['self', 'average'])
    .default('self')
    .describe('Whose jump is the target: self: the present policy; average: the average over its updates.'),
  huberWidth: z
    .number()
    .positive()
    .default(1e-3)
    .describe('c of the pseudo-Huber distance: below it errors count by their squares; latent units, > 0.'),
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

    const {latent, scale, next} = point as Tensors;
    const {end, step, rest} = point as unknown as Record<string, Jumps>;
    const networks = {
      teacher: () => policy.predictReference({...point, text}),
      target: (nearer: tf.Tensor) => {
        const question = {latent: nearer, time: next, scale, text};
        return o.distillationTarget === 'self' ? policy.predictHeld(question) : policy.predictAverage(question);
      },
    };
    const distillation = tf.sum<tf.Scalar>(consistencyLoss({latent, x0: jump!, end, step, rest}, networks, huberWidth));
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
      const size = part[0].length * (o.variant === 'draftLv' ? o.draws : 1);
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
  const table = odeTable(o.distillationSteps);
  // Without repetition, so that an update sees times from all over the table.
  const levels = permutation({...key, purpose: 'directLevels'}, table.length);
  const levelOf = new Map(groups.map(([{prompt}], i) => [prompt.id, table[levels[i % table.length]]]));
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
  const rows = o.variant === 'draftLv' ? clips.flatMap((clip) => Array.from({length: o.draws}, () => clip)) : clips;
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
  const noised = (purpose: string, timeOf: (clip: Clip) => number): NdArray<'float32'> =>
    noisedRows(clean, rows, timeOf, {...draw.key, purpose});
  const jumps = (of: (level: Transition) => Jump): Params => ({
    a: numbers(({prompt}) => of(draw.levelOf(prompt)).a),
    b: numbers(({prompt}) => of(draw.levelOf(prompt)).b),
  });
  const timeOf = ({prompt}: Clip): number => draw.levelOf(prompt).time;

  const point = (): Params => ({
    latent: noised('directNoise', timeOf),
    time: numbers(timeOf),
    scale: all(1),
    // At the end nothing is asked, and the network has no time 0.
    next: numbers(({prompt}) => draw.levelOf(prompt).nextTime || draw.levelOf(prompt).time),
    end: jumps(({time}) => jumpBetween(time, 0)),
    step: jumps(({time, nextTime}) => jumpBetween(time, nextTime)),
    rest: jumps(({nextTime}) => jumpBetween(nextTime, 0)),
  });
  const stepOf = ({time, scale, a, b}: Pick<Transition, 'time' | 'scale' | 'a' | 'b'>): Params => ({
    time: all(time),
    scale: all(scale),
    a: all(a),
    b: all(b),
  });
  const path = (): Params => {
    const {variant} = o;
    const last = table[table.length - 1];
    if (variant === 'draftLv')
      return {latent: noised('directDraws', () => last.time), steps: {0: stepOf({time: last.time, scale: 1, a: 0, b: 1})}};
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
    ...((o.variant === 'oneStep' || o.distillationWeight > 0) && {point: point()}),
    ...(o.variant !== 'oneStep' && path()),
  };
}

/** (1 − t)·x0 + t·ε of each row, with noise of its own. */
function noisedRows(
  clean: NdArray<'float32'>,
  rows: readonly Clip[],
  timeOf: (clip: Clip) => number,
  key: Omit<NoiseKey, 'prompt' | 'step'>,
): NdArray<'float32'> {
  const data = new Float32Array(clean.data.length);
  const size = data.length / rows.length;
  const seen = new Map<number, number>();
  rows.forEach((clip, i) => {
    const draw = seen.get(clip.index) ?? 0;
    seen.set(clip.index, draw + 1);
    const row = data.subarray(i * size, (i + 1) * size);
    normals({...key, prompt: clip.index, step: draw}, row);
    const time = timeOf(clip);
    for (let j = 0; j < size; j++) row[j] = (1 - time) * clean.data[i * size + j] + time * row[j];
  });
  return ndarray('float32', clean.shape, data);
}

/** Predictions with gradient of one clip in one pass: for estimates. */
const predictionsOf = ({variant, gradientSteps, draws}: Options): number => {
  if (variant === 'draftLv') return draws;
  return variant === 'oneStep' || variant === 'refl' ? 1 : gradientSteps;
};

/** Direct reward backpropagation as it is registered. */
export const direct: Algorithm<typeof options.shape> = {
  name: 'direct',
  summary: "the reward's own gradient through one-step jumps or the last sampling steps, with consistency distillation (PISCES)",
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
    work: {stepShare: 1, updatesPerIteration: o.innerEpochs * o.minibatches, predictions: o.innerEpochs * predictionsOf(o)},
    optimizer: optimizerOf(o),
    learn: learnWhole((collected, state, context) => learnFrom(collected, state, context, o)),
  }),
};

function idleIn(o: Options & {readonly sampler: string}): {key: string; reason: string}[] {
  const without = 'distillationWeight is 0';
  return [
    {key: 'noiseLevel', reason: 'rollouts have no noise in their steps'},
    ...(o.sampler === 'ddim' ? [] : [{key: 'sampler', reason: 'without noise it is the same sampler as flowSde'}]),
    ...(o.variant === 'oneStep' || o.variant === 'draftLv' ? [{key: 'gradientSteps', reason: `${o.variant} has one`}] : []),
    ...(o.variant === 'draftLv' ? [] : [{key: 'draws', reason: 'only draftLv draws noises'}]),
    ...(o.variant === 'refl'
      ? [{key: 'rewardNormalisation', reason: 'refl compares rewards with rewardMargin'}]
      : [{key: 'rewardMargin', reason: 'only refl has one'}]),
    ...(o.distillationWeight > 0 ? [] : ['distillationTarget', 'huberWidth'].map((key) => ({key, reason: without}))),
    ...(o.distillationWeight > 0 || o.variant === 'oneStep' ? [] : [{key: 'distillationSteps', reason: without}]),
  ];
}
