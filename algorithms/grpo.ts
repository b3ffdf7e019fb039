/**
 * GRPO for flow models: group relative policy optimization, with the variants that its published trainers differ in.
 *
 * Every noisy denoising step is an action whose density is known; the policy gradient weighs it by how much better the finished
 * video is than the others of its prompt, its group.
 *
 *   L = mean over (sample, step) of objective(A, ρ) + β·KL(policy ‖ starting policy),   ρ = exp(logp − logp_old)
 *   A = (r − mean of the group) / (deviation + 1e-4)
 *
 * and, where they are asked for, an anchor at last steps and the consistency distillation λ·L_CD of finished clips that `direct` has,
 * with logp and KL means over the latent's elements, in nats. Which objective, which deviation, how several rewards make one
 * advantage and which steps are noisy are options (docs/algorithms/grpo.md has each with its source).
 *
 * @source Shao et al. 2024, "DeepSeekMath", arXiv:2402.03300, §4.1 (GRPO); Liu et al. 2025, "Flow-GRPO", arXiv:2505.05470; Xue et
 * al. 2025, "DanceGRPO", arXiv:2505.07818; Li et al. 2025, "MixGRPO", arXiv:2507.21802.
 * Deviation: the optional term `anchorCoefficient` is DDPO's of this project (docs/algorithms/ddpo.md tells why).
 */
import * as tf from '@tensorflow/tfjs-core';
import {z} from 'zod';
import {
  ConfigError,
  actingMean,
  anchorLoss,
  anchorOption,
  bestAndWorst,
  clampAdvantages,
  chunks,
  clippedSurrogate,
  distillationOptions,
  distillationPoint,
  distillationRows,
  driftDivergence,
  finishedClips,
  float32,
  gatherLatents,
  gatherTransitions,
  gdpoAdvantages,
  groupAdvantages,
  groupSpread,
  guardedLogRatio,
  idleDistillation,
  importanceRatio,
  lastTransitions,
  learnWhole,
  logRatioSums,
  maskedSurrogate,
  movingWindow,
  nextMultiplier,
  optimizerOf,
  optimizerOptions,
  outsideCount,
  policyGradientOptions,
  policyPasses,
  prefixed,
  randomWindow,
  referenceDivergence,
  replay,
  shuffled,
  statistics,
  steeredCoefficient,
  stochasticTransitions,
  summedRewards,
  teacherSteps,
  weightedAdvantages,
  windowOptions,
  type Algorithm,
  type Branch,
  type ConfiguredAlgorithm,
  type DriftedStep,
  type LearnContext,
  type LogProbabilities,
  type LossFunction,
  type LossSums,
  type NdArray,
  type NoiseKey,
  type PassUpdate,
  type PolicyInGraph,
  type Scored,
  type TrainState,
  type TransitionBatch,
  type TransitionRef,
  type WeightedReward,
  type WindowPlan,
} from '../src/plugin.js';

const options = z.strictObject({
  ...optimizerOptions,
  ...policyGradientOptions,
  learningRate: optimizerOptions.learningRate.default(5e-4).describe('Step size of AdamW; > 0.'),
  objective: z
    .enum(['clip', 'guard', 'dppo'])
    .default('clip')
    .describe(
      'What a step is pulled by: clip, the clipped ratio; guard, the same on ratios freed of drift and scale; dppo, the ratio, masked where the step has drifted too far.',
    ),
  klThreshold: z
    .number()
    .positive()
    .default(1e-5)
    .describe('Drift of a step from the one that was taken, from which on dppo masks it, in nats an element; > 0.'),
  klTarget: z
    .number()
    .min(0)
    .default(0)
    .describe(
      'Divergence from the starting policy that klCoefficient is steered to, in nats an element; 0: the coefficient is fixed; ≥ 0.',
    ),
  advantageScale: z
    .enum(['group', 'batch', 'largestGroup', 'none'])
    .default('group')
    .describe(
      "What advantages are divided by: the deviation of the sample's group, of the whole batch, of the group where it is largest, or nothing.",
    ),
  deviation: z
    .enum(['population', 'sample'])
    .default('population')
    .describe('Deviation with n (population) or with n − 1 (sample, unbiased).'),
  trimmedShare: z
    .number()
    .min(0)
    .lt(0.5)
    .default(0)
    .describe("Share of a group's samples, rounded down, that its mean and deviation are taken without; in [0, .5)."),
  trimmedEnds: z
    .enum(['lowest', 'both'])
    .default('lowest')
    .describe('Which samples trimmedShare leaves out: the lowest, or as many of both ends.'),
  bestOf: z
    .int()
    .min(0)
    .default(0)
    .describe('Samples of each prompt that are learnt from, half of them the best and half the worst; 0: all; ≥ 0.'),
  combination: z
    .enum(['sum', 'normalised', 'gdpo', 'separate', 'constrained'])
    .default('sum')
    .describe(
      'How several rewards make an advantage: sum, of the composed reward; normalised, each by itself, then weighed; gdpo, the same normalised once more; separate, a clipped loss for each; constrained, the rest is raised while floors are kept.',
    ),
  floors: z
    .record(z.string(), z.number())
    .default({})
    .describe('Least mean of each constrained reward, by its name, in its own unit: floors.semantic=0.6.'),
  multiplierRate: z
    .number()
    .positive()
    .default(0.05)
    .describe(
      "Largest step of a constraint's multiplier in an iteration, taken where the mean is off the floor by a deviation of the samples or more; > 0.",
    ),
  ...windowOptions,
  windowSize: windowOptions.windowSize.describe(
    'Stochastic steps of a trajectory, in a window that windowMove places; 0: every step but the last; ≥ 0.',
  ),
  windowTo: z
    .number()
    .gt(0)
    .max(1)
    .default(1)
    .describe('Share of the steps, from the first, beyond which no window begins; in (0, 1].'),
  windowMove: z
    .enum(['random', 'sliding', 'progressive'])
    .default('random')
    .describe(
      'Where the window lies: random, anew for each batch of prompts; sliding, one step on after windowDwell iterations, from the end to the start again; progressive, the same, and it stays at the end.',
    ),
  windowDwell: z.int().min(1).default(25).describe('Iterations that a sliding or progressive window stays in a place; ≥ 1.'),
  ...anchorOption,
  ...distillationOptions,
});
type Options = z.output<typeof options>;

/** A batch holds noisy steps, or last steps, which have no density and so no `next`, or finished clips noised to a `point`. */
const lossOf =
  (o: Options): LossFunction =>
  (policy, batch, scalars) => {
    if (batch['next']) return stepLoss(policy, batch, scalars, o);
    if (batch['point']) return distillationLoss(policy, batch, scalars, o);
    return anchorLoss(policy, batch, o.anchorCoefficient);
  };

function distillationLoss(policy: PolicyInGraph, batch: Branch<tf.Tensor>, scalars: Branch<tf.Tensor>, o: Options): LossSums {
  const {text, weight} = batch as Record<string, tf.Tensor>;
  const {distillationWeight, huberWidth} = scalars as Record<string, tf.Tensor>;
  const x0 = policy.predict({...(batch['point'] as Branch<tf.Tensor>), text});
  const rows = distillationRows(policy, batch, x0, o.distillationTarget, huberWidth);
  const distillation = tf.sum<tf.Scalar>(tf.mul(rows, weight));
  return {loss: tf.mul(distillation, distillationWeight), metrics: {distillation}};
}

function stepLoss(policy: PolicyInGraph, batch: Branch<tf.Tensor>, scalars: Branch<tf.Tensor>, o: Options): LossSums {
  const {latent, next, a, b, std, oldLogProb, advantage, weight, noise} = batch as Record<string, tf.Tensor>;
  const {logProb, mean} = replay({latent, x0: policy.predict(batch), a, b, std, next}, policy.density);
  const logs = {logProb, oldLogProb};
  const drifted = (): DriftedStep => ({next, mean, oldMean: actingMean(next, noise, std), std});
  const {rows, metrics: own} = objectiveOf(o.objective, logs, drifted, advantage, scalars);
  const loss = tf.sum<tf.Scalar>(tf.mul(rows, tf.reshape(weight, [weight.size, ...rows.shape.slice(1).fill(1)])));
  const metrics = {...logRatioSums(logs), ...own};
  if (o.klCoefficient === 0) return {loss, metrics};
  const klReference = referenceDivergence(policy, batch, mean);
  // A coefficient that was steered comes with the batch, since the scalars of a run are fixed.
  const coefficient = (batch['klCoefficient'] ?? scalars['klCoefficient']) as tf.Tensor;
  return {loss: tf.add(loss, tf.mul(klReference, coefficient)), metrics: {...metrics, klReference}};
}

/** Losses of the rows, `[n]` or one column for each reward, and what is particular to the objective's report. */
function objectiveOf(
  objective: Options['objective'],
  logs: LogProbabilities,
  drifted: () => DriftedStep,
  advantage: tf.Tensor,
  scalars: Branch<tf.Tensor>,
): {rows: tf.Tensor; metrics: Record<string, tf.Scalar>} {
  const {clipRange, klThreshold} = scalars as Record<string, tf.Tensor>;
  if (objective === 'dppo') {
    const {loss, kept} = maskedSurrogate(logs, advantage, driftDivergence(drifted()), klThreshold);
    const losses = advantage.size / logs.logProb.size;
    return {rows: loss, metrics: {maskedFraction: tf.div(tf.sum(tf.sub(1, kept)), losses)}};
  }
  const ratios = objective === 'guard' ? {logProb: guardedLogRatio(drifted()), oldLogProb: tf.zerosLike(logs.oldLogProb)} : logs;
  return {
    rows: clippedSurrogate(ratios, advantage, clipRange),
    metrics: {clipFraction: outsideCount(importanceRatio(ratios), clipRange)},
  };
}

/** What is remembered between iterations. */
interface GrpoMemory {
  readonly klCoefficient: number;
  /** Of each constraint, by the name of its reward. */
  readonly multipliers: Readonly<Record<string, number>>;
}

/** All samples of an iteration, batch after batch. */
interface Samples {
  readonly groups: readonly string[];
  readonly rewards: Float64Array;
  /** The rewards that a composed one is the weighted sum of, by name. */
  readonly several: Readonly<Record<string, WeightedReward>>;
}

function samplesOf(collected: readonly Scored[]): Samples {
  const [{weights = {}}] = collected;
  const all = (of: (s: Scored) => Float32Array): Float64Array => Float64Array.from(collected.flatMap((s) => Array.from(of(s))));
  return {
    groups: collected.flatMap(({trajectories}) => trajectories.prompts.map(({id}) => id)),
    rewards: all((s) => s.rewards),
    several: Object.fromEntries(
      Object.entries(weights).map(([name, weight]) => [name, {weight, rewards: all(({parts}) => parts![name])}]),
    ),
  };
}

/** The multipliers after what this iteration's samples show. */
const multipliersAfter = ({multipliers}: GrpoMemory, {several}: Samples, o: Options): Record<string, number> =>
  Object.fromEntries(
    Object.entries(multipliers).map(([name, multiplier]) => {
      const measured = statistics(Array.from(several[name].rewards));
      return [name, nextMultiplier(multiplier, measured, o.floors[name], o.multiplierRate)];
    }),
  );

/** Advantages of the samples, limited: one list, or one for each loss. */
function advantagesOf(samples: Samples, multipliers: GrpoMemory['multipliers'], o: Options): Float64Array[] {
  const {groups, rewards} = samples;
  const several = Object.values(samples.several);
  const normalise = {
    scale: o.advantageScale,
    deviation: o.deviation,
    ...(o.trimmedShare > 0 && {trim: {share: o.trimmedShare, ends: o.trimmedEnds}}),
  };
  const limited = (advantages: Float64Array): Float64Array => clampAdvantages(advantages, o.advantageClip);
  switch (o.combination) {
    case 'sum':
      return [limited(groupAdvantages(rewards, groups, normalise))];
    case 'normalised':
      return [limited(weightedAdvantages(several, groups, normalise))];
    case 'gdpo':
      return [limited(gdpoAdvantages(several, groups, {deviation: o.deviation}))];
    case 'separate':
      // A weight in front of a clipped loss is a weight on its advantages.
      return several.map(({rewards: r, weight}) => limited(groupAdvantages(r, groups, normalise)).map((x) => weight * x));
    case 'constrained': {
      const free = Object.entries(samples.several).flatMap(([name, reward]) => (name in multipliers ? [] : [reward]));
      const terms = [
        {rewards: summedRewards(free), weight: 1},
        ...Object.entries(multipliers).map(([name, weight]) => ({rewards: samples.several[name].rewards, weight})),
      ];
      const total = terms.reduce((sum, {weight}) => sum + weight, 0);
      return [limited(weightedAdvantages(terms, groups, normalise).map((x) => x / total))];
    }
  }
}

/** Which samples are learnt from: of each prompt the best and the worst, or all. */
function keptOf({groups}: Samples, advantages: readonly Float64Array[], {bestOf}: Options): Set<number> {
  const all = groups.map((_, i) => i);
  if (bestOf === 0) return new Set(all);
  const value = (i: number): number => advantages.reduce((sum, of) => sum + of[i], 0);
  const members = [...new Set(groups)].map((group) => all.filter((i) => groups[i] === group));
  return new Set(members.flatMap((own) => bestAndWorst(own.map(value), bestOf).map((i) => own[i])));
}

async function learnFrom(
  collected: readonly Scored[],
  state: TrainState,
  {learner, seed}: LearnContext,
  o: Options,
): Promise<TrainState> {
  checkReward(collected[0], o);

  // advantages
  const memory = state.memory as unknown as GrpoMemory;
  const samples = samplesOf(collected);
  const multipliers = multipliersAfter(memory, samples, o);
  const advantages = advantagesOf(samples, multipliers, o);

  // minibatches and updates
  const kept = keptOf(samples, advantages, o);
  const firsts = firstsOf(collected);
  const sampleOf = ({batch, row}: TransitionRef): number => firsts[batch] + row;
  const isKept = (ref: TransitionRef): boolean => kept.has(sampleOf(ref));
  const iteration = state.iteration + 1;
  const means = await policyPasses({
    collected,
    learner,
    noisy: stochasticTransitions(collected).filter(isKept),
    last: lastTransitions(collected).filter(isKept),
    gather: (refs) => gather(collected, refs, (ref) => advantages.map((of) => of[sampleOf(ref)]), memory.klCoefficient, o),
    ...(o.distillationWeight > 0 && {
      besides: (update) =>
        distilled(collected, finishedClips(collected).filter(isKept), sampleOf, {seed, iteration}, update, learner.microbatch, o),
    }),
    key: {name: 'grpo', seed, iteration},
    options: o,
  });
  const klCoefficient =
    o.klTarget > 0 ? steeredCoefficient(memory.klCoefficient, means['klReference'], o.klTarget) : memory.klCoefficient;

  // metrics
  const sizes = advantages.flatMap((of) => Array.from(of, Math.abs));
  const next: GrpoMemory = {klCoefficient, multipliers};
  return {
    iteration,
    memory: next as unknown as TrainState['memory'],
    metrics: {
      ...prefixed('policy/', means),
      'policy/advantageAbs': sizes.reduce((sum, x) => sum + x, 0) / sizes.length,
      'policy/equalGroups': groupSpread(samples.rewards, samples.groups).equal,
      ...(o.klTarget > 0 && {'policy/klCoefficient': memory.klCoefficient}),
      ...prefixed('policy/multiplier/', multipliers),
    },
  };
}

/** The number of a batch's first sample among those of all batches. */
function firstsOf(collected: readonly Scored[]): number[] {
  let at = 0;
  return collected.map(({rewards}) => (at += rewards.length) - rewards.length);
}

/** Steps as the loss takes them. */
function gather(
  collected: readonly Scored[],
  refs: readonly TransitionRef[],
  advantagesAt: (ref: TransitionRef) => readonly number[],
  klCoefficient: number,
  o: Options,
): TransitionBatch {
  const columns = refs.map(advantagesAt);
  const losses = columns[0].length;
  // GRPO-Guard weighs a step by 1/Δt, so that with its ratios every step pulls alike.
  const weight = ({batch, step}: TransitionRef): number => {
    const {time, nextTime} = collected[batch].trajectories.table[step];
    return o.objective === 'guard' ? 1 / (time - nextTime) : 1;
  };
  return {
    ...gatherTransitions(
      collected,
      refs,
      collected.map(({rewards}) => rewards),
      weight,
    ),
    advantage: float32(columns.flat(), losses === 1 ? [refs.length] : [refs.length, losses]),
    ...(o.klTarget > 0 && {klCoefficient: float32([klCoefficient], [])}),
  };
}

/** Finished clips noised anew, as the loss takes them: a pass goes through `clips`, each of its updates through a part of them. */
function* distilled(
  collected: readonly Scored[],
  clips: readonly TransitionRef[],
  sampleOf: (ref: TransitionRef) => number,
  key: Pick<NoiseKey, 'seed' | 'iteration'>,
  {epoch, index, count, steps}: PassUpdate,
  microbatch: number,
  {distillationSteps}: Options,
): Iterable<TransitionBatch> {
  const keyOf = (purpose: string, sample: number, step?: number): NoiseKey => ({
    ...key,
    purpose: `grpoDistillation${purpose}`,
    sample,
    ...(step !== undefined && {step}),
  });
  const part = chunks(shuffled(clips, keyOf('Order', epoch)), Math.ceil(clips.length / count))[index] ?? [];
  const levels = teacherSteps(part.length, distillationSteps, keyOf('Steps', epoch, index));
  const rows = part.map((ref, i) => ({ref, level: levels[i]}));
  for (const micro of chunks(rows, microbatch)) {
    const refs = micro.map(({ref}) => ref);
    const {latent, text} = gatherLatents(collected, refs);
    yield {
      text,
      point: distillationPoint(
        latent as NdArray<'float32'>,
        micro.map(({level}) => level),
        (row) => keyOf('Noise', sampleOf(refs[row]), epoch),
      ),
      // The learner divides by the noisy steps; this makes of the clips a mean of their own.
      weight: float32(micro.map(() => steps / part.length)),
    };
  }
}

/** Refuses a reward without the parts that the combination is about. */
function checkReward({weights}: {readonly weights?: Readonly<Record<string, number>>}, {combination, floors}: Options): void {
  if (combination === 'sum') return;
  const names = Object.keys(weights ?? {});
  if (!weights || names.length < 2) {
    throw new ConfigError(
      `combination: ${combination} wants a reward that is a weighted sum of several, such as "0.7*quality + 0.3*semantic"; got one that is not.`,
    );
  }
  if (combination !== 'constrained') return;
  const bound = Object.keys(floors);
  if (bound.length === 0)
    throw new ConfigError(
      `floors: wanted the floor of at least one of ${names.join(', ')}; got none; such as floors.${names[1]}=0.5.`,
    );
  for (const name of bound) {
    if (!names.includes(name))
      throw new ConfigError(`floors.${name}: wanted one of the rewards ${names.join(', ')}; got "${name}".`);
    if (weights[name] !== 1) {
      throw new ConfigError(
        `floors.${name}: the weight ${weights[name]} of "${name}" has no effect where its floor decides; write it without a weight.`,
      );
    }
  }
  if (bound.length === names.length)
    throw new ConfigError(
      `floors: wanted at least one of ${names.join(', ')} without a floor, to be raised; got a floor for each.`,
    );
}

/** Where the noisy steps lie; without a window, everywhere but at the end. */
function windowOf({windowSize, windowFrom, windowTo, windowMove, windowDwell}: Options): WindowPlan | undefined {
  if (windowSize === 0) return undefined;
  const range = {size: windowSize, from: windowFrom, to: windowTo};
  if (windowMove === 'random') return randomWindow('grpoWindow', range);
  return movingWindow(range, windowDwell, windowMove === 'sliding' ? 'again' : 'stay');
}

/** Settings that change nothing beside the others. */
function idle(config: Readonly<Record<string, unknown>>): {key: string; reason: string}[] {
  const o = config as unknown as Options & {readonly samplesPerPrompt: number; readonly overlapRollouts: boolean};
  const oneUpdate = o.innerEpochs * o.minibatches === 1 && !o.overlapRollouts;
  const always = 'with one update an iteration every ratio is 1; raise innerEpochs or minibatches';
  const found: [key: keyof Options, is: boolean, reason: string][] = [
    ['clipRange', o.objective === 'dppo', 'objective dppo masks and does not clip'],
    ['clipRange', oneUpdate, always],
    ['klThreshold', o.objective !== 'dppo', 'only objective dppo masks'],
    ['klThreshold', oneUpdate, always],
    ['objective', oneUpdate && o.objective === 'dppo', always],
    ['klTarget', o.klCoefficient === 0, 'klCoefficient is 0, and there is nothing to steer'],
    ['deviation', o.advantageScale === 'none' && o.combination !== 'gdpo', 'advantageScale is none'],
    ['advantageScale', o.combination === 'gdpo', 'combination gdpo normalises by the group and then by the batch'],
    ['trimmedShare', o.combination === 'gdpo', 'combination gdpo trims nothing'],
    [
      'trimmedShare',
      Math.floor(o.trimmedShare * o.samplesPerPrompt) === 0,
      `of ${o.samplesPerPrompt} samples it is less than one`,
    ],
    ['trimmedEnds', o.trimmedShare === 0, 'trimmedShare is 0'],
    ['bestOf', o.bestOf >= o.samplesPerPrompt, `a prompt has ${o.samplesPerPrompt} samples, and all are learnt from`],
    ['floors', o.combination !== 'constrained', 'only combination constrained keeps floors'],
    ['multiplierRate', o.combination !== 'constrained', 'only combination constrained has multipliers'],
    ...(['windowFrom', 'windowTo', 'windowMove', 'windowDwell'] as const).map((key): [keyof Options, boolean, string] => [
      key,
      o.windowSize === 0,
      'with windowSize 0 every step is learnt from',
    ]),
    ['windowTo', o.windowTo <= o.windowFrom, 'no step lies between windowFrom and it'],
    ['windowDwell', o.windowMove === 'random', 'a random window is drawn anew each time'],
  ];
  return [...found.flatMap(([key, is, reason]) => (is ? [{key, reason}] : [])), ...idleDistillation(config)];
}

/** The options that the learner is made of. */
function configure(o: Options): ConfiguredAlgorithm {
  const window = windowOf(o);
  const memory: GrpoMemory = {
    klCoefficient: o.klCoefficient,
    multipliers: o.combination === 'constrained' ? Object.fromEntries(Object.keys(o.floors).map((name) => [name, 0])) : {},
  };
  return {
    loss: lossOf(o),
    scalars: {
      ...(o.objective === 'dppo' ? {klThreshold: o.klThreshold} : {clipRange: o.clipRange}),
      ...(o.klCoefficient > 0 && {klCoefficient: o.klCoefficient}),
      ...(o.distillationWeight > 0 && {distillationWeight: o.distillationWeight, huberWidth: o.huberWidth}),
    },
    sharedStart: o.sharedStart,
    keepNoise: o.objective !== 'clip',
    ...(window && {window}),
    initialMemory: memory as unknown as TrainState['memory'],
    work: {
      stepShare: o.timestepFraction * o.innerEpochs,
      updatesPerIteration: o.innerEpochs * o.minibatches,
      ...(o.bestOf > 0 && {samples: o.bestOf}),
      ...(o.distillationWeight > 0 && {distillation: {gradient: o.innerEpochs, frozen: 2 * o.innerEpochs}}),
    },
    checkReward: (reward) => checkReward(reward, o),
    optimizer: optimizerOf(o),
    learn: learnWhole((collected, state, context) => learnFrom(collected, state, context, o)),
  };
}

/** GRPO as it is registered. */
export const grpo: Algorithm<typeof options.shape> = {
  name: 'grpo',
  summary: 'policy gradient with advantages among the samples of a prompt (Flow-GRPO, DanceGRPO, MixGRPO and their variants)',
  options,
  defaults: {
    reward: 'quality + semantic',
    promptsPerIteration: 8,
    samplesPerPrompt: 8,
    samplingSteps: 8,
    sampler: 'flowSde',
    noiseLevel: 0.7,
    minutes: 5,
    evaluation: {prompts: 256, steps: 16, every: 0},
  },
  idle,
  offPolicy: true,
  needs: {differentiableReward: false},
  configure,
};
