/**
 * Supervised fine-tuning: flow matching on clean clips that the world itself makes, without any reward. The baseline that says what
 * more and better data alone would do.
 *
 *   L = mean over (clip, draw of t) of mean ((x̂0 − x0)/max(t, .2))²,   x_t = (1 − t)·x0 + t·ε
 *
 * No rollout is made and nothing is scored; the run's reward is measured on held-out prompts before and after, and that is all.
 *
 * @source Lipman et al. 2023, Flow Matching, arXiv:2210.02747; the weight is that of the pre-training (src/pretrain/policyStep.ts).
 */
import * as tf from '@tensorflow/tfjs-core';
import {z} from 'zod';
import {
  addNoise,
  chunks,
  finishedClips,
  flowMatchingError,
  learnWhole,
  meanOfRows,
  meanReports,
  noisedClips,
  noisingOptions,
  optimizerOf,
  optimizerOptions,
  prefixed,
  type Algorithm,
  type LearnContext,
  type LossFunction,
  type NoisedClip,
  type Scored,
  type TrainState,
} from '../src/plugin.js';

const options = z.strictObject({
  ...optimizerOptions,
  clipsPerIteration: z.int().min(1).default(64).describe('Clips of the world in one iteration, which is one update; ≥ 1.'),
  drawsPerClip: z.int().min(1).default(1).describe('Times that each clip is noised, each at its own t; ≥ 1.'),
  ...noisingOptions,
});
type Options = z.output<typeof options>;

const loss: LossFunction = (policy, batch) => {
  const {clean, noise, time} = batch as Record<string, tf.Tensor>;
  const predicted = policy.predict({...batch, latent: addNoise(clean, noise, time)});
  return {
    loss: tf.sum<tf.Scalar>(meanOfRows(flowMatchingError(predicted, clean, time))),
    metrics: {cleanError: tf.sum<tf.Scalar>(meanOfRows(tf.squaredDifference(predicted, clean)))},
  };
};

async function learnFrom(
  collected: readonly Scored[],
  state: TrainState,
  {learner, seed}: LearnContext,
  o: Options,
): Promise<TrainState> {
  const iteration = state.iteration + 1;
  const draws = finishedClips(collected).flatMap((ref, item) =>
    Array.from({length: o.drawsPerClip}, (_, draw): NoisedClip => ({ref, item, draw})),
  );
  const batches = (function* () {
    for (const micro of chunks(draws, learner.microbatch)) yield noisedClips(collected, micro, {name: 'sft', seed, iteration}, o);
  })();
  const report = await learner.update(batches, draws.length);
  return {iteration, memory: null, metrics: prefixed('policy/', meanReports([report], 1))};
}

/** Supervised fine-tuning as it is registered. */
export const sft: Algorithm<typeof options.shape> = {
  name: 'sft',
  summary: "supervised fine-tuning on the world's own clean clips; the reward is only measured: a baseline",
  options,
  defaults: {minutes: 2, evaluation: {prompts: 256, steps: 16, every: 0}},
  idle: () =>
    ['promptsPerIteration', 'samplesPerPrompt', 'samplingSteps', 'sampler', 'noiseLevel'].map((key) => ({
      key,
      reason: 'sft learns from clips of the world and samples nothing; clipsPerIteration says from how many',
    })),
  needs: {differentiableReward: false},
  configure: (o) => ({
    loss,
    scalars: {},
    sharedStart: false,
    deterministic: true,
    clips: {stream: 'curated', count: o.clipsPerIteration},
    initialMemory: null,
    work: {stepShare: 1, updatesPerIteration: 1, predictions: o.drawsPerClip},
    optimizer: optimizerOf(o),
    learn: learnWhole((collected, state, context) => learnFrom(collected, state, context, o)),
  }),
};
