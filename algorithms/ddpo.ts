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
  gatherTransitions,
  importanceRatio,
  isNoisy,
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
  type LearnContext,
  type LossFunction,
  type NoiseKey,
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
    .default(1)
    .describe(
      'Weight of mean (x̂0 − x̂0 of the starting policy)² at the last step, which has no noise and which no reward reaches; ≥ 0.',
    ),
});
type Options = z.output<typeof options>;

const lossOf =
  ({klCoefficient, anchorCoefficient}: Options): LossFunction =>
  (policy, batch, scalars) => {
    const {latent, next, a, b, std, oldLogProb, advantage, weight} = batch as Record<string, tf.Tensor>;
    const {clipRange} = scalars as Record<string, tf.Tensor>;
    const x0 = policy.predict(batch);
    const {logProb, mean} = replay({latent, x0, a, b, std, next}, policy.density);
    const logs = {logProb, oldLogProb};
    const surrogate = tf.sum(tf.mul(clippedSurrogate(logs, advantage, clipRange), weight));
    const outside = tf.cast(tf.greater(tf.abs(tf.sub(importanceRatio(logs), 1)), clipRange), 'float32');
    const metrics: Record<string, tf.Scalar> = {
      approxKl: tf.mul(tf.sum(tf.squaredDifference(logProb, oldLogProb)), 0.5),
      clipFraction: tf.sum(outside),
      ratioGap: tf.sum(tf.abs(tf.sub(logProb, oldLogProb))),
    };
    if (klCoefficient === 0 && anchorCoefficient === 0) return {loss: surrogate as tf.Scalar, metrics};
    const reference = detach(policy.predictReference(batch));
    const referenceMean = replay({latent, x0: reference, a, b, std, next}, policy.density).mean;
    const kl = tf.sum(klDivergence(mean, referenceMean, std));
    const noiseless = tf.sub(1, isNoisy(std));
    const anchor = tf.sum(tf.mul(meanOfRows(tf.squaredDifference(x0, reference)), noiseless));
    const loss = tf.addN([surrogate, tf.mul(kl, klCoefficient), tf.mul(anchor, anchorCoefficient)]);
    return {loss: loss as tf.Scalar, metrics: {...metrics, klReference: kl as tf.Scalar, anchor: anchor as tf.Scalar}};
  };

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
    const learnt = drawSteps(stochasticTransitions(collected), o.timestepFraction, {seed, iteration, epoch});
    const held = o.anchorCoefficient > 0 ? lastTransitions(collected) : [];
    const refs = shuffled([...learnt, ...held], {seed, purpose: 'ddpoOrder', iteration, sample: epoch});
    for (const part of chunks(refs, Math.ceil(refs.length / o.minibatches))) {
      const batches = (function* () {
        for (const micro of chunks(part, learner.microbatch)) yield gatherTransitions(collected, micro, advantages, weight);
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
    evaluation: {prompts: 128, steps: 16, every: 0},
  },
  idle: (config) =>
    Number(config['innerEpochs']) * Number(config['minibatches']) === 1
      ? [{key: 'clipRange', reason: 'with one update an iteration every ratio is 1; raise innerEpochs or minibatches'}]
      : [],
  needs: {differentiableReward: false},
  configure: (o) => ({
    loss: lossOf(o),
    scalars: {clipRange: o.clipRange},
    sharedStart: o.sharedStart,
    ...(o.windowSize > 0 && {window: randomWindow(o.windowSize)}),
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

/** A window of `size` steps at a random place of the trajectory, anew for each batch of prompts; never the last step. */
const randomWindow =
  (size: number) =>
  (iteration: number, batch: number, steps: number, seed: number): {start: number; size: number} => {
    const places = Math.max(1, steps - size);
    const [place] = permutation({seed, purpose: 'ddpoWindow', iteration, sample: batch}, places);
    return {start: place, size};
  };
