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
import {z} from 'zod';
import {
  anchorLoss,
  anchorOption,
  clampAdvantages,
  clippedSurrogate,
  gatherTransitions,
  importanceRatio,
  lastTransitions,
  learnWhole,
  logRatioSums,
  optimizerOf,
  optimizerOptions,
  outsideCount,
  policyGradientOptions,
  policyPasses,
  prefixed,
  promptTracker,
  randomWindow,
  referenceDivergence,
  replay,
  stochasticTransitions,
  trackAdvantages,
  windowOptions,
  type Algorithm,
  type Branch,
  type LearnContext,
  type LossFunction,
  type LossSums,
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
  ...windowOptions,
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
  ...anchorOption,
});
type Options = z.output<typeof options>;

/** A batch holds either noisy steps or last steps; a last step has no density, and its batch no `next`. */
const lossOf =
  ({klCoefficient, anchorCoefficient}: Options): LossFunction =>
  (policy, batch, scalars) =>
    batch['next'] ? surrogateOf(policy, batch, scalars, klCoefficient) : anchorLoss(policy, batch, anchorCoefficient);

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
  const metrics = {...logRatioSums(logs), clipFraction: outsideCount(importanceRatio(logs), clipRange)};
  if (klCoefficient === 0) return {loss, metrics};
  const klReference = referenceDivergence(policy, batch, mean);
  return {loss: tf.add(loss, tf.mul(klReference, klCoefficient)), metrics: {...metrics, klReference}};
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
  const means = await policyPasses({
    collected,
    learner,
    noisy: stochasticTransitions(collected),
    last: lastTransitions(collected),
    gather: (refs) => gatherTransitions(collected, refs, advantages, weight),
    key: {name: 'ddpo', seed, iteration: state.iteration + 1},
    options: o,
  });

  // metrics
  return {
    iteration: state.iteration + 1,
    memory: tracked.tracker as unknown as TrainState['memory'],
    metrics: {
      ...prefixed('policy/', means),
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

/** DDPO as it is registered. */
export const ddpo: Algorithm<typeof options.shape> = {
  name: 'ddpo',
  summary: 'clipped policy gradient over denoising steps, with per-prompt statistics (Black et al. 2024)',
  options,
  defaults: {
    reward: 'quality + semantic',
    promptsPerIteration: 8,
    samplesPerPrompt: 8,
    samplingSteps: 8,
    sampler: 'flowSde',
    noiseLevel: 0.7,
    minutes: 2,
    evaluation: {prompts: 256, steps: 16, every: 0},
  },
  idle: (config) => [
    ...(Number(config['innerEpochs']) * Number(config['minibatches']) === 1 && config['overlapRollouts'] !== true
      ? [{key: 'clipRange', reason: 'with one update an iteration every ratio is 1; raise innerEpochs or minibatches'}]
      : []),
    ...(config['windowSize'] === 0 ? [{key: 'windowFrom', reason: 'with windowSize 0 every step is learnt from'}] : []),
  ],
  offPolicy: true,
  needs: {differentiableReward: false},
  configure: (o) => ({
    loss: lossOf(o),
    scalars: {clipRange: o.clipRange},
    sharedStart: o.sharedStart,
    ...(o.windowSize > 0 && {window: randomWindow('ddpoWindow', {size: o.windowSize, from: o.windowFrom})}),
    initialMemory: promptTracker(o.bufferSize, o.minCount) as unknown as TrainState['memory'],
    work: {stepShare: o.timestepFraction * o.innerEpochs, updatesPerIteration: o.innerEpochs * o.minibatches},
    optimizer: optimizerOf(o),
    learn: learnWhole((collected, state, context) => learnFrom(collected, state, context, o)),
  }),
};
