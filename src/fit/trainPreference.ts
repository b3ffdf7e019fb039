/** Trains a preference network on labelled pairs. */
import * as tf from '@tensorflow/tfjs-core';
import '../autograd/index.js';
import type {Device} from '../engine/device.js';
import {NonFiniteError} from '../errors.js';
import {preferenceParams, preferenceScore} from '../models/preferenceNetwork.js';
import {adamCorrections, type AdamWStep} from '../numeric/optim/adamw.js';
import {learningRate} from '../numeric/optim/learningRate.js';
import {int32, scalar, type NdArray} from '../tensor/ndarray.js';
import {pack, packing, unpack, unpackArray} from '../tensor/pack.js';
import {integers} from '../tensor/random.js';
import type {Branch, Params} from '../tensor/tree.js';
import {ADAM, adamState, adamUpdates} from '../transport/maps/adam.js';
import type {PreferencePair} from '../numeric/comparedPairs.js';
import type {EmbeddedPairs} from './trainMap.js';

/** The length of a training, its sizes and rates. */
export interface PreferencePlan {
  /** Updates; the learning rate falls by a cosine over them. */
  readonly steps: number;
  /** Pairs of one update. */
  readonly batch: number;
  /** Width of the two hidden layers. */
  readonly hidden: number;
  /** Learning rate of the first update; the last one's is a twentieth of it. */
  readonly learningRate: number;
  readonly weightDecay: number;
}

/** Largest norm of a gradient. */
const MAX_NORM = 1;
/** Share of the first learning rate that is left in the end. */
const FINAL_SHARE = 0.05;

/**
 * Minimises the mean of −ln σ(r(better) − r(worse)).
 *
 * @source Bradley & Terry 1952: the odds that one is preferred are those of two strengths, here exp(r).
 * @param clips embedded, each with its caption.
 * @param progress told the loss after each update, in nats.
 * @returns the network; undefined if the signal aborts first.
 * @throws NonFiniteError if a loss or a gradient is not finite.
 */
export async function trainPreference(
  device: Device,
  clips: EmbeddedPairs,
  pairs: readonly PreferencePair[],
  plan: PreferencePlan,
  seed: number,
  signal: AbortSignal,
  progress: (updates: number, loss: number) => void,
): Promise<Params | undefined> {
  const fresh = preferenceParams(clips.text.shape[1], plan.hidden, seed);
  const layout = packing(fresh);
  const state = await device.put(adamState(pack(fresh, layout)));
  const sets = await device.put({text: clips.text, video: clips.video});
  const options = {weightDecay: plan.weightDecay, maxGradientNorm: MAX_NORM};
  const step = device.jit('fit/preference', (inputs) => {
    const {text, video} = inputs['sets'] as Record<string, tf.Tensor>;
    const {better, worse} = inputs['pairs'] as Record<string, tf.Tensor>;
    const loss = (vector: tf.Tensor): {loss: tf.Tensor; metrics: Record<string, tf.Tensor>} => {
      const params = unpack(vector, layout);
      const score = (rows: tf.Tensor): tf.Tensor => preferenceScore(params, tf.gather(text, rows), tf.gather(video, rows));
      return {loss: tf.mean(tf.softplus(tf.sub(score(worse), score(better)))), metrics: {}};
    };
    const schedule = inputs['schedule'] as unknown as AdamWStep;
    const {state: next, metrics} = adamUpdates(inputs['state'] as Branch<tf.Tensor>, [{loss, step: schedule}], options);
    return {state: next, metrics: metrics[0]};
  });
  try {
    for (let updates = 0; updates < plan.steps; updates++) {
      if (signal.aborted) return undefined;
      const drawn = integers({seed, purpose: 'preferencePairs', iteration: updates}, plan.batch, pairs.length);
      const side = (of: keyof PreferencePair): NdArray<'int32'> => int32(Array.from(drawn, (i) => pairs[i][of]));
      const rate = {kind: 'cosine', rate: plan.learningRate, steps: plan.steps, final: FINAL_SHARE * plan.learningRate} as const;
      const {correction1, correction2} = adamCorrections(updates + 1, ADAM);
      const schedule = {
        learningRate: scalar(learningRate(rate, updates)),
        correction1: scalar(correction1),
        correction2: scalar(correction2),
      };
      const {outputs, applied} = await step(
        {state, sets, pairs: {better: side('better'), worse: side('worse')}, schedule},
        {into: {state}, guard: ['metrics.loss', 'metrics.gradientNorm']},
      );
      const [loss] = (outputs['metrics'] as Record<string, NdArray>)['loss'].data;
      if (!applied) {
        throw new NonFiniteError(`fit: update ${updates} has loss ${loss}; it was not applied. Try a lower learningRate.`);
      }
      progress(updates + 1, loss);
    }
    const {params} = await device.get({params: state['params']});
    return unpackArray(params as NdArray<'float32'>, layout);
  } finally {
    await device.free(state);
    await device.free(sets);
  }
}

/** r of each clip, `[n]`. */
export async function preferenceScores(device: Device, params: Params, {text, video}: EmbeddedPairs): Promise<Float32Array> {
  const run = device.jit('preference/scores', (inputs) => ({
    scores: preferenceScore(inputs['params'] as Branch<tf.Tensor>, inputs['text'] as tf.Tensor, inputs['video'] as tf.Tensor),
  }));
  const {outputs} = await run({params, text, video});
  return (outputs['scores'] as NdArray<'float32'>).data;
}
