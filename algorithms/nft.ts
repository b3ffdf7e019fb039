/**
 * DiffusionNFT: negative-aware fine-tuning on the forward process.
 *
 * No step of a rollout is learnt from, so rollouts follow the ODE and no log-probability is ever computed. The finished clips are
 * noised again, and the policy learns towards the good ones and away from the bad ones:
 *
 *   L = C·mean over (clip, draw of t) of (r·ℓ(x̂0⁺) + (1 − r)·ℓ(x̂0⁻))/β + κ·mean (v_θ − v_ref)²
 *   x̂0± = (1 ∓ β)·x̂0_old ± β·x̂0_θ,   ℓ(x̂0) = mean (x̂0 − x0)² / sg(mean |x̂0 − x0|),   r = ½ + clamp(A, ± C)/2C
 *
 * @source Zheng et al. 2025, "DiffusionNFT: online diffusion reinforcement with forward process", arXiv:2509.16117, eq. 5 and
 * algorithm 1.
 * Deviations: times are drawn from a logit-normal law and not from the sampler's table, and by default the old policy is the
 * trained one (docs/algorithms/nft.md tells why).
 */
import * as tf from '@tensorflow/tfjs-core';
import {z} from 'zod';
import {
  addNoise,
  ConfigError,
  chunks,
  detach,
  feedbackNames,
  finishedClips,
  float32,
  groupAdvantages,
  idleWithoutNoise,
  learnWhole,
  meanOfRows,
  meanReports,
  negativeAwareLoss,
  noisedClips,
  noisingOptions,
  oldPolicyDecay,
  oldPolicyNames,
  optimality,
  optimizerOf,
  optimizerOptions,
  policyGradientOptions,
  prefixed,
  shuffled,
  type Algorithm,
  type LearnContext,
  type LossFunction,
  type NoisedClip,
  type Scored,
  type TrainState,
  type UpdateReport,
} from '../src/plugin.js';

const options = z.strictObject({
  ...optimizerOptions,
  adamBeta2: optimizerOptions.adamBeta2.default(0.99).describe("Decay of AdamW's second moment; in [0, 1)."),
  innerEpochs: policyGradientOptions.innerEpochs,
  minibatches: policyGradientOptions.minibatches,
  advantageClip: policyGradientOptions.advantageClip,
  advantageScale: z
    .enum(['batch', 'group'])
    .default('batch')
    .describe("What a reward's distance from its prompt's mean is divided by: the deviation of the iteration, or of the prompt."),
  feedback: z
    .enum(feedbackNames)
    .default('both')
    .describe('Advantages that teach: both signs, only positive or negative ones, ones for the positive, or signs alone.'),
  mixBeta: z
    .number()
    .positive()
    .default(1)
    .describe('β: share of the trained policy in the two mixtures; the smaller, the farther it goes from the old one; > 0.'),
  oldPolicy: z
    .enum(oldPolicyNames)
    .default('current')
    .describe(
      'What samples: the trained policy itself (current), a copy that lags behind it up to half (lagging) or ever more (slowing), or the starting policy (frozen: offline).',
    ),
  drawsPerClip: z.int().min(1).default(3).describe('Times that each clip is noised anew in a pass, each at its own t; ≥ 1.'),
  ...noisingOptions,
  klCoefficient: z
    .number()
    .min(0)
    .default(0)
    .describe(
      'Weight of mean (v − v of the starting policy)², v the velocity, in squared units of the latent; 0 keeps no reference; ≥ 0.',
    ),
});
/** The options, and what of the run's own settings changes the loss. */
type Options = z.output<typeof options> & {readonly overlapRollouts: boolean};

/** Updates of an iteration. */
const updatesOf = ({innerEpochs, minibatches}: Options): number => innerEpochs * minibatches;

/**
 * With one update an iteration the trained policy is the one that sampled, unless rollouts are one update old: there is no other to
 * keep or to ask.
 */
const keepsOld = (o: Options): boolean => o.oldPolicy !== 'current' || updatesOf(o) > 1 || o.overlapRollouts;

const lossOf =
  (o: Options): LossFunction =>
  (policy, batch) => {
    const {clean, noise, time, optimality: r} = batch as Record<string, tf.Tensor>;
    const asked = {...batch, latent: addNoise(clean, noise, time)};
    const predicted = policy.predict(asked);
    const old = keepsOld(o) ? policy.predictOld(asked) : detach(predicted);
    const rows = negativeAwareLoss({predicted, old, clean, optimality: r}, o.mixBeta);
    const loss = tf.mul<tf.Scalar>(tf.sum(rows), o.advantageClip);
    const metrics = {
      cleanError: tf.sum<tf.Scalar>(meanOfRows(tf.squaredDifference(predicted, clean))),
      ...(keepsOld(o) && {oldGap: tf.sum<tf.Scalar>(meanOfRows(tf.squaredDifference(predicted, old)))}),
    };
    if (o.klCoefficient === 0) return {loss, metrics};
    // v = (x_t − x̂0)/t
    const drift = meanOfRows(tf.squaredDifference(predicted, detach(policy.predictReference(asked))));
    const klReference = tf.sum<tf.Scalar>(tf.div(drift, tf.square(time)));
    return {loss: tf.add(loss, tf.mul(klReference, o.klCoefficient)), metrics: {...metrics, klReference}};
  };

async function learnFrom(
  collected: readonly Scored[],
  state: TrainState,
  {learner, seed}: LearnContext,
  o: Options,
): Promise<TrainState> {
  // optimality
  const advantages = groupAdvantages(
    collected.flatMap(({rewards}) => Array.from(rewards)),
    collected.flatMap(({trajectories}) => trajectories.prompts.map(({id}) => id)),
    {scale: o.advantageScale},
  );
  const r = optimality(advantages, o.advantageClip, o.feedback);

  // noised clips and updates
  const clips = finishedClips(collected);
  const iteration = state.iteration + 1;
  const reports: UpdateReport[] = [];
  for (let epoch = 0; epoch < o.innerEpochs; epoch++) {
    const draws = clips.flatMap((ref, item) =>
      Array.from({length: o.drawsPerClip}, (_, i): NoisedClip => ({ref, item, draw: epoch * o.drawsPerClip + i})),
    );
    if (draws.length < o.minibatches) {
      throw new ConfigError(`minibatches: wanted at most the ${draws.length} noised clips of a pass; got ${o.minibatches}.`);
    }
    const ordered = shuffled(draws, {seed, purpose: 'nftOrder', iteration, sample: epoch});
    for (let i = 0; i < o.minibatches; i++) {
      const [start, end] = [i, i + 1].map((n) => Math.round((n * ordered.length) / o.minibatches));
      const part = ordered.slice(start, end);
      const batches = (function* () {
        for (const micro of chunks(part, learner.microbatch)) {
          const batch = noisedClips(collected, micro, {name: 'nft', seed, iteration}, o);
          yield {...batch, optimality: float32(micro.map(({item}) => r[item]))};
        }
      })();
      reports.push(await learner.update(batches, part.length));
    }
  }

  // the old policy follows
  if (keepsOld(o) && o.oldPolicy !== 'frozen') await learner.moveOld(oldPolicyDecay(o.oldPolicy, iteration * updatesOf(o)));

  // metrics
  return {
    iteration,
    memory: null,
    metrics: {
      ...prefixed('policy/', meanReports(reports, updatesOf(o))),
      'policy/advantageAbs': advantages.reduce((sum, a) => sum + Math.min(Math.abs(a), o.advantageClip), 0) / advantages.length,
    },
  };
}

/** DiffusionNFT as it is registered. */
export const nft: Algorithm<typeof options.shape> = {
  name: 'nft',
  summary: 'learns from noised clips, towards good and away from bad ones, without log-probabilities (Zheng et al. 2025)',
  options,
  defaults: {
    reward: 'quality + semantic',
    promptsPerIteration: 8,
    samplesPerPrompt: 8,
    samplingSteps: 8,
    minutes: 2,
    evaluation: {prompts: 256, steps: 16, every: 0},
  },
  idle: (config) => [
    ...idleWithoutNoise(config),
    ...(keepsOld(config as unknown as Options)
      ? []
      : [
          {
            key: 'mixBeta',
            reason:
              'with one update an iteration and oldPolicy current the gradient is the same for every mixBeta; raise innerEpochs or minibatches, let the old policy lag, or let rollouts overlap',
          },
        ]),
  ],
  offPolicy: true,
  needs: {differentiableReward: false},
  configure: (chosen, {overlapRollouts} = {overlapRollouts: false}) => {
    const o = {...chosen, overlapRollouts};
    return {
      loss: lossOf(o),
      scalars: {},
      sharedStart: false,
      deterministic: true,
      keepsOld: keepsOld(o),
      initialMemory: null,
      work: {stepShare: 1, updatesPerIteration: updatesOf(o), predictions: o.drawsPerClip * o.innerEpochs},
      optimizer: optimizerOf(o),
      learn: learnWhole((collected, state, context) => learnFrom(collected, state, context, o)),
    };
  },
};
