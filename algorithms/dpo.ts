/**
 * Diffusion-DPO in its flow-matching form: direct preference optimization on pairs that the run's reward has ranked.
 *
 * Of two samples of a prompt the better one is noised with the same noise, to the same time, as the worse one. The policy's error in
 * the velocity is to fall on the better by more than on the worse, both measured from the policy that training began with:
 *
 *   L = mean over (pair, draw of t) of −log σ(m)
 *   m = −β·w(t)/2 · [(‖v − v_θ‖² − ‖v − v_ref‖²) of the better − (‖v − v_θ‖² − ‖v − v_ref‖²) of the worse]
 *
 * with ‖·‖² the mean over the latent's elements. The reward only ranks: how much better one sample is than the other is not used.
 *
 * @source Wallace et al. 2023, arXiv:2311.12908, eq. 14; flow matching: Liu et al. 2025, "Improving video generation with human
 * feedback", arXiv:2501.13918. Deviations: docs/algorithms/dpo.md.
 */
import * as tf from '@tensorflow/tfjs-core';
import {z} from 'zod';
import {
  addNoise,
  chunks,
  detach,
  finishedClips,
  float32,
  gatherLatents,
  implicitMargin,
  idleWithoutNoise,
  learnWhole,
  meanReports,
  noiseAndTimes,
  noisingOptions,
  optimizerOf,
  optimizerOptions,
  pairingNames,
  policyGradientOptions,
  preferenceLoss,
  prefixed,
  comparedPairs,
  shuffled,
  velocityError,
  type Algorithm,
  type LearnContext,
  type LossFunction,
  type NdArray,
  type NoisedDraw,
  type PairErrors,
  type Params,
  type Scored,
  type TrainState,
  type TransitionRef,
  type UpdateReport,
} from '../src/plugin.js';

const options = z.strictObject({
  ...optimizerOptions,
  adamBeta2: optimizerOptions.adamBeta2.default(0.99).describe("Decay of AdamW's second moment; in [0, 1)."),
  innerEpochs: policyGradientOptions.innerEpochs,
  minibatches: policyGradientOptions.minibatches,
  beta: z
    .number()
    .positive()
    .default(2000)
    .describe(
      'β: how closely the policy is held to its start: log-odds of a pair per half squared unit of velocity error, mean over elements; > 0.',
    ),
  betaWeight: z
    .enum(['constant', 'falling'])
    .default('constant')
    .describe('w(t), the weight of β at time t: constant: 1; falling: (1 − t)², which trusts much noise less.'),
  pairs: z
    .enum(pairingNames)
    .default('mirrored')
    .describe(
      'Which samples of a prompt are compared: mirrored: the i-th best with the i-th worst; extremes: the best with the worst; all: any two. Equal rewards are no pair.',
    ),
  oldPolicy: z
    .enum(['current', 'frozen'])
    .default('current')
    .describe('What samples: the trained policy itself (current: online) or the starting policy (frozen: offline).'),
  drawsPerPair: z.int().min(1).default(3).describe('Times that each pair is noised anew in a pass, each at its own t; ≥ 1.'),
  ...noisingOptions,
});
type Options = z.output<typeof options>;

const updatesOf = ({innerEpochs, minibatches}: Options): number => innerEpochs * minibatches;

const lossOf =
  ({betaWeight}: Options): LossFunction =>
  (policy, batch, scalars) => {
    const {winner, loser, noise, time, scale, text} = batch as Record<string, tf.Tensor>;
    const both = (x: tf.Tensor, y = x): tf.Tensor => tf.concat([x, y]);
    const [clean, times] = [both(winner, loser), both(time)];
    const asked = {latent: addNoise(clean, both(noise), times), time: times, scale: both(scale), text: both(text)};
    const errorsOf = (predicted: tf.Tensor): PairErrors => {
      const [first, second] = tf.split(velocityError(predicted, clean, times), 2);
      return {winner: first, loser: second};
    };
    const trained = errorsOf(policy.predict(asked));
    const reference = errorsOf(detach(policy.predictReference(asked)));
    const beta = scalars['beta'] as tf.Tensor;
    const weighted = betaWeight === 'falling' ? tf.mul(beta, tf.square(tf.sub(1, time))) : beta;
    const margin = implicitMargin(trained, reference, weighted);
    const shift = (of: keyof PairErrors): tf.Scalar => tf.sum(tf.sub(trained[of], reference[of]));
    return {
      loss: tf.sum<tf.Scalar>(preferenceLoss(margin)),
      metrics: {
        implicitMargin: tf.sum<tf.Scalar>(margin),
        implicitAccuracy: tf.sum<tf.Scalar>(tf.cast(tf.greater(margin, 0), 'float32')),
        winnerShift: shift('winner'),
        loserShift: shift('loser'),
      },
    };
  };

/** A pair that is to be noised: `item` is its number in the iteration. */
interface Draw extends NoisedDraw {
  readonly winner: TransitionRef;
  readonly loser: TransitionRef;
}

async function learnFrom(
  collected: readonly Scored[],
  state: TrainState,
  {learner, seed}: LearnContext,
  o: Options,
): Promise<TrainState> {
  // pairs
  const groups = collected.flatMap(({trajectories}) => trajectories.prompts.map(({id}) => id));
  const {pairs, without} = comparedPairs(
    collected.flatMap(({rewards}) => Array.from(rewards)),
    groups,
    o.pairs,
  );
  const clips = finishedClips(collected);

  // noised pairs and updates; an iteration without a pair has none
  const iteration = state.iteration + 1;
  const reports: UpdateReport[] = [];
  for (let epoch = 0; epoch < o.innerEpochs; epoch++) {
    const draws = pairs.flatMap(({better, worse}, item) =>
      Array.from({length: o.drawsPerPair}, (_, i): Draw => {
        return {winner: clips[better], loser: clips[worse], item, draw: epoch * o.drawsPerPair + i};
      }),
    );
    const ordered = shuffled(draws, {seed, purpose: 'dpoOrder', iteration, sample: epoch});
    for (const part of chunks(ordered, Math.ceil(ordered.length / o.minibatches))) {
      const batches = (function* () {
        // Each pair is two latents.
        for (const micro of chunks(part, Math.max(1, Math.floor(learner.microbatch / 2))))
          yield noisedPairs(collected, micro, {name: 'dpo', seed, iteration}, o);
      })();
      reports.push(await learner.update(batches, part.length));
    }
  }

  // metrics
  return {
    iteration,
    memory: null,
    metrics: {
      ...prefixed('policy/', meanReports(reports, reports.length)),
      'policy/pairs': pairs.length,
      'policy/pairlessPrompts': without,
    },
  };
}

/** Pairs with the noise and the time of each draw: `winner`, `loser`, `noise`, `text`, `time`, `scale`. */
function noisedPairs(
  collected: readonly Scored[],
  draws: readonly Draw[],
  key: {readonly name: string; readonly seed: number; readonly iteration: number},
  o: Options,
): Params {
  const gather = (of: 'winner' | 'loser'): Params =>
    gatherLatents(
      collected,
      draws.map((draw) => draw[of]),
    );
  // The text is the same for both.
  const {latent: winner, text} = gather('winner');
  return {
    winner,
    loser: gather('loser')['latent'],
    text,
    ...noiseAndTimes(draws, (winner as NdArray).shape.slice(1), key, o),
    scale: float32(draws.map(() => 1)),
  };
}

/** Pairs of one sample, on average. */
const pairsPerSample = ({pairs}: Options, samples: number): number => {
  if (pairs === 'all') return samples - 1;
  return pairs === 'extremes' ? 2 / samples : (2 * Math.floor(samples / 2)) / samples;
};

/** Diffusion-DPO as it is registered. */
export const dpo: Algorithm<typeof options.shape> = {
  name: 'dpo',
  summary: 'direct preference optimization on pairs that the reward has ranked (Diffusion-DPO, Flow-DPO): a baseline',
  options,
  defaults: {
    promptsPerIteration: 8,
    samplesPerPrompt: 8,
    samplingSteps: 8,
    minutes: 2,
    evaluation: {prompts: 256, steps: 16, every: 0},
  },
  idle: idleWithoutNoise,
  offPolicy: true,
  needs: {differentiableReward: false},
  configure: (o) => ({
    loss: lossOf(o),
    scalars: {beta: o.beta},
    sharedStart: false,
    deterministic: true,
    keepsOld: o.oldPolicy === 'frozen',
    initialMemory: null,
    work: {
      stepShare: 1,
      updatesPerIteration: updatesOf(o),
      predictions: (samples) => pairsPerSample(o, samples) * o.drawsPerPair * o.innerEpochs,
    },
    optimizer: optimizerOf(o),
    learn: learnWhole((collected, state, context) => learnFrom(collected, state, context, o)),
  }),
};
