/**
 * DDPO: denoising diffusion policy optimization, the importance-sampled variant.
 *
 * Every denoising step is an action whose density is known; the policy gradient weighs it by how much better the finished video
 * is than what was to be expected of its prompt.
 *
 *   L = mean over (sample, step) of max(−A·ρ, −A·clamp(ρ, 1 − c, 1 + c)),   ρ = exp(logp − logp_old)
 *
 * with logp the mean over the latent's elements, in nats.
 *
 * @source Black et al. 2024, "Training diffusion models with reinforcement learning", arXiv:2305.13301, eq. 5 and §5.1.
 * Deviations: the default sampler is Flow-SDE on a flow-matching policy, and the optional terms `klCoefficient` and
 * `anchorCoefficient` hold the policy to the one that training began with (docs/algorithms/ddpo.md tells why).
 */
import * as tf from '@tensorflow/tfjs-core';
import {from, lastValueFrom, toArray, type Observable} from 'rxjs';
import {z} from 'zod';
import {
  chunks,
  clampAdvantages,
  clippedSurrogate,
  detach,
  gatherStates,
  gatherTransitions,
  importanceRatio,
  klDivergence,
  lastTransitions,
  meanOfRows,
  optimizerOptions,
  permutation,
  policyGradientOptions,
  promptTracker,
  replay,
  stochasticTransitions,
  trackAdvantages,
  type Algorithm,
  type Branch,
  type LearnContext,
  type LossFunction,
  type LossSums,
  type NoiseKey,
  type PolicyInGraph,
  type PromptTracker,
  type Scored,
  type TrainState,
  type TransitionRef,
} from '../src/plugin.js';

const options = z.strictObject({
  ...optimizerOptions,
  ...policyGradientOptions,
  learningRate: optimizerOptions.learningRate.default(5e-4).describe('Step size of AdamW; > 0.'),
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
  bufferSize: z.int().min(1).default(32).describe('Rewards that are remembered for each prompt; ≥ 1.'),
  minCount: z
    .int()
    .min(1)
    .default(8)
    .describe('Rewards from which on a prompt is measured against its own; before, against the batch; ≥ 1.'),
  stepWeighting: z
    .enum(['none', 'balanced'])
    .default('none')
    .describe(
      'balanced: each step pulls the prediction with equal force; none: by its own density, which favours steps with little noise.',
    ),
  anchorCoefficient: z
    .number()
    .min(0)
    .default(0.5)
    .describe(
      'Weight of mean (x̂0 − x̂0 of the starting policy)² at the last step, which has no noise and which no reward reaches; ≥ 0.',
    ),
});
type Options = z.output<typeof options>;

/** A batch holds either noisy steps or last steps; a last step has no density, and its batch no `next`. */
const lossOf =
  ({klCoefficient, anchorCoefficient}: Options): LossFunction =>
  (policy, batch, scalars) =>
    batch['next'] ? surrogateOf(policy, batch, scalars, klCoefficient) : anchorOf(policy, batch, anchorCoefficient);

function surrogateOf(
  policy: PolicyInGraph,
  batch: Branch<tf.Tensor>,
  scalars: Branch<tf.Tensor>,
  klCoefficient: number,
): LossSums {
  const {latent, next, a, b, std, oldLogProb, advantage, weight} = batch as Record<string, tf.Tensor>;
  const {clipRange} = scalars as Record<string, tf.Tensor>;
  const {logProb, mean} = replay({latent, x0: policy.predict(batch), a, b, std, next}, policy.density);
  const logs = {logProb, oldLogProb};
  const loss = tf.sum<tf.Scalar>(tf.mul(clippedSurrogate(logs, advantage, clipRange), weight));
  const outside = tf.cast(tf.greater(tf.abs(tf.sub(importanceRatio(logs), 1)), clipRange), 'float32');
  const metrics: Record<string, tf.Scalar> = {
    approxKl: tf.mul(tf.sum(tf.squaredDifference(logProb, oldLogProb)), 0.5),
    clipFraction: tf.sum(outside),
    ratioGap: tf.sum(tf.abs(tf.sub(logProb, oldLogProb))),
  };
  if (klCoefficient === 0) return {loss, metrics};
  const reference = detach(policy.predictReference(batch));
  const referenceMean = replay({latent, x0: reference, a, b, std, next}, policy.density).mean;
  const klReference = tf.sum<tf.Scalar>(klDivergence(mean, referenceMean, std));
  return {loss: tf.add(loss, tf.mul(klReference, klCoefficient)), metrics: {...metrics, klReference}};
}

function anchorOf(policy: PolicyInGraph, batch: Branch<tf.Tensor>, anchorCoefficient: number): LossSums {
  const drift = meanOfRows(tf.squaredDifference(policy.predict(batch), detach(policy.predictReference(batch))));
  const anchor = tf.sum<tf.Scalar>(tf.mul(drift, batch['weight'] as tf.Tensor));
  return {loss: tf.mul(anchor, anchorCoefficient), metrics: {anchor}};
}

async function learnFrom(
  collected: readonly Scored[],
  state: TrainState,
  {learner, seed}: LearnContext,
  o: Options,
): Promise<TrainState> {
  // advantages
  const prompts = collected.map(({trajectories}) => trajectories.prompts.map((p) => p.id));
  const rewards = collected.map((s) => Array.from(s.rewards));
  const tracked = trackAdvantages(state.memory as unknown as PromptTracker, prompts.flat(), rewards.flat());
  const limited = clampAdvantages(tracked.advantages, o.advantageClip);
  let at = 0;
  const advantages = rewards.map((r) => limited.subarray(at, (at += r.length)));

  // minibatches and updates
  const weight = weightOf(collected, o.stepWeighting);
  const iteration = state.iteration + 1;
  const means: Record<string, number> = {};
  const count = o.innerEpochs * o.minibatches;
  for (let epoch = 0; epoch < o.innerEpochs; epoch++) {
    const order = (purpose: string): NoiseKey => ({seed, purpose, iteration, sample: epoch});
    const drawn = drawSteps(stochasticTransitions(collected), o.timestepFraction, {seed, iteration, epoch});
    const noisy = chunks(shuffled(drawn, order('ddpoOrder')), Math.ceil(drawn.length / o.minibatches));
    const ends = o.anchorCoefficient > 0 ? shuffled(lastTransitions(collected), order('ddpoAnchors')) : [];
    const anchored = chunks(
      ends.slice(0, Math.ceil(ends.length * ANCHOR_SHARE)),
      Math.ceil((ends.length * ANCHOR_SHARE) / noisy.length),
    );
    for (const [i, part] of noisy.entries()) {
      const held = anchored[i] ?? [];
      const batches = (function* () {
        for (const micro of chunks(part, learner.microbatch)) yield gatherTransitions(collected, micro, advantages, weight);
        // The learner divides by the noisy steps; this makes of the last steps a mean of their own.
        for (const micro of chunks(held, learner.microbatch)) yield gatherStates(collected, micro, part.length / held.length);
      })();
      const {metrics, gradientNorm} = await learner.update(batches, part.length);
      for (const [name, value] of Object.entries({...metrics, gradientNorm})) means[name] = (means[name] ?? 0) + value / count;
    }
  }

  // metrics
  return {
    iteration,
    memory: tracked.tracker as unknown as TrainState['memory'],
    metrics: {
      ...Object.fromEntries(Object.entries(means).map(([name, value]) => [`policy/${name}`, value])),
      'policy/advantageAbs': limited.reduce((sum, x) => sum + Math.abs(x), 0) / limited.length,
    },
  };
}

/**
 * The weight of a transition in the loss, 1 on average over a trajectory. ∂logp/∂x̂0 is b·z/(n·std): `balanced` takes out b/std,
 * which differs tenfold between the first and the last noisy step.
 */
function weightOf(collected: readonly Scored[], weighting: Options['stepWeighting']): (ref: TransitionRef) => number {
  if (weighting === 'none') return () => 1;
  const force = ({b, std}: {readonly b: number; readonly std: number}): number => std / b;
  const weights = collected.map(({trajectories: {table}}) => {
    const noisy = table.filter(({std}) => std > 0);
    const total = noisy.reduce((sum, row) => sum + force(row), 0);
    return table.map((row) => (force(row) * noisy.length) / total);
  });
  return ({batch, step}) => weights[batch][step];
}

/** Share of the trajectories whose last step is held: the term is steady, and each of them costs as much as a step to learn from. */
const ANCHOR_SHARE = 0.25;

const shuffled = <T>(list: readonly T[], key: NoiseKey): T[] => Array.from(permutation(key, list.length), (i) => list[i]);

/** A random share of each trajectory's steps. */
function drawSteps(
  refs: readonly TransitionRef[],
  fraction: number,
  {seed, iteration, epoch}: {seed: number; iteration: number; epoch: number},
): TransitionRef[] {
  if (fraction === 1) return [...refs];
  const stepsOf = new Map<string, number>();
  for (const {batch, row} of refs) stepsOf.set(`${batch}/${row}`, (stepsOf.get(`${batch}/${row}`) ?? 0) + 1);
  const taken = new Map<string, number>();
  return shuffled(refs, {seed, purpose: 'ddpoSteps', iteration, sample: epoch}).filter(({batch, row}) => {
    const key = `${batch}/${row}`;
    const n = (taken.get(key) ?? 0) + 1;
    taken.set(key, n);
    return n <= Math.max(1, Math.floor(stepsOf.get(key)! * fraction));
  });
}

/** DDPO as it is registered. */
export const ddpo: Algorithm<typeof options.shape> = {
  name: 'ddpo',
  summary: 'clipped policy gradient over denoising steps, with per-prompt statistics (Black et al. 2024)',
  options,
  defaults: {
    promptsPerIteration: 8,
    samplesPerPrompt: 8,
    samplingSteps: 8,
    sampler: 'flowSde',
    noiseLevel: 0.7,
    minutes: 2,
    evaluation: {prompts: 256, steps: 16, every: 0},
  },
  idle: (config) => [
    ...(Number(config['innerEpochs']) * Number(config['minibatches']) === 1
      ? [{key: 'clipRange', reason: 'with one update an iteration every ratio is 1; raise innerEpochs or minibatches'}]
      : []),
    ...(config['windowSize'] === 0 ? [{key: 'windowFrom', reason: 'with windowSize 0 every step is learnt from'}] : []),
  ],
  needs: {differentiableReward: false},
  configure: (o) => ({
    loss: lossOf(o),
    scalars: {clipRange: o.clipRange},
    sharedStart: o.sharedStart,
    ...(o.windowSize > 0 && {window: randomWindow(o.windowSize, o.windowFrom)}),
    initialMemory: promptTracker(o.bufferSize, o.minCount) as unknown as TrainState['memory'],
    work: {stepShare: o.timestepFraction * o.innerEpochs, updatesPerIteration: o.innerEpochs * o.minibatches},
    optimizer: {
      learningRate: o.learningRate,
      beta1: o.adamBeta1,
      beta2: o.adamBeta2,
      weightDecay: o.weightDecay,
      maxGradientNorm: o.maxGradNorm,
      averageDecay: o.emaDecay,
    },
    learn: (scored$: Observable<Scored>, state, context) =>
      from(lastValueFrom(scored$.pipe(toArray())).then((all) => learnFrom(all, state, context, o))),
  }),
};

/** A window of `size` steps at a random place beyond the share `from`, anew for each batch of prompts; never the last step. */
const randomWindow =
  (size: number, from: number) =>
  (iteration: number, batch: number, steps: number, seed: number): {start: number; size: number} => {
    const latest = Math.max(0, steps - 1 - size);
    const earliest = Math.min(Math.floor(from * steps), latest);
    const [place] = permutation({seed, purpose: 'ddpoWindow', iteration, sample: batch}, latest - earliest + 1);
    return {start: earliest + place, size};
  };
