/** REINFORCE: one update an iteration on −A·logp, with advantages among the samples of a prompt. */
import * as tf from '@tensorflow/tfjs-core';
import {from, lastValueFrom, toArray} from 'rxjs';
import {z} from 'zod';
import {
  chunks,
  gatherTransitions,
  groupAdvantages,
  optimizerOf,
  optimizerOptions,
  replay,
  stochasticTransitions,
  type Algorithm,
  type LossFunction,
  type Scored,
} from '../../../src/plugin.js';

const options = z.strictObject({...optimizerOptions});

// Sums over the batch; the learner divides by the transitions of the update.
const loss: LossFunction = (policy, batch) => {
  const {latent, next, a, b, std, oldLogProb, advantage} = batch as Record<string, tf.Tensor>;
  const {logProb} = replay({latent, x0: policy.predict(batch), a, b, std, next}, policy.density);
  return {
    loss: tf.neg(tf.sum<tf.Scalar>(tf.mul(advantage, logProb))),
    // The parity guard reads this one.
    metrics: {ratioGap: tf.sum<tf.Scalar>(tf.abs(tf.sub(logProb, oldLogProb)))},
  };
};

/** REINFORCE as it is registered. */
export const reinforce: Algorithm<typeof options.shape> = {
  name: 'reinforce',
  summary: 'the plain policy gradient, one update an iteration',
  options,
  defaults: {promptsPerIteration: 8, samplesPerPrompt: 8, samplingSteps: 8, minutes: 2},
  needs: {differentiableReward: false},
  configure: (o) => ({
    loss,
    scalars: {},
    sharedStart: false,
    initialMemory: null,
    work: {stepShare: 1, updatesPerIteration: 1},
    optimizer: optimizerOf(o),
    learn: (scored$, state, {learner}) =>
      from(
        lastValueFrom(scored$.pipe(toArray())).then(async (scored: readonly Scored[]) => {
          // advantages; all samples of a prompt are in one batch
          const advantages = scored.map(({rewards, trajectories}) =>
            groupAdvantages(
              rewards,
              trajectories.prompts.map(({id}) => id),
            ),
          );
          // one update on every noisy step, in microbatches
          const steps = stochasticTransitions(scored);
          const batches = chunks(steps, learner.microbatch).map((part) => gatherTransitions(scored, part, advantages));
          const {metrics, gradientNorm} = await learner.update(batches, steps.length);
          // metrics
          return {
            iteration: state.iteration + 1,
            memory: null,
            metrics: {'policy/loss': metrics['loss'], 'policy/gradientNorm': gradientNorm},
          };
        }),
      ),
  }),
};
