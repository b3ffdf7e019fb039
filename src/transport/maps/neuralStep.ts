/**
 * Neural optimal transport: a map T and a potential f, trained against each other,
 *
 *   sup_f inf_T  E_x f(x) + E_y [c(y, T(y)) − f(T(y))],   c(y, x) = λ·mean_d (y_d − x_d)²
 *
 * One outer step is K updates of T on c − f and one of f, all in one graph. No pairs are used: only which texts there are, and
 * which videos.
 *
 * @source Korotin et al. 2023, "Neural optimal transport", arXiv:2201.12220, algorithm 1; PISCES,
 * arXiv:2602.01624, §3.2.
 */
import * as tf from '@tensorflow/tfjs-core';
import '../../autograd/index.js';
import type {AdamWStep} from '../../numeric/optim/adamw.js';
import {unpack, type Packing} from '../../tensor/pack.js';
import type {Branch} from '../../tensor/tree.js';
import {adamUpdates, type AdamUpdateOptions, type Loss} from './adam.js';
import {mapRounds, type RoundsSchedule} from './mapRounds.js';
import {frozenPerceptron, trainedPerceptron} from './perceptronGradient.js';

/** Constants of an outer step. */
export interface NeuralStepOptions extends AdamUpdateOptions {
  /** λ ≥ 0. */
  readonly costWeight: number;
}

/** Where the parameters of the two networks lie in their vectors. */
export interface NeuralLayout {
  readonly map: Packing;
  readonly potential: Packing;
}

/** What changes from step to step: the corrections of f's one update come to those of T's. */
type Schedule = RoundsSchedule & AdamWStep;

/** Which rows of the sets are used. */
interface Batches {
  /** `[K, B]` texts for T. */
  readonly map: tf.Tensor;
  /** `[B]` texts, and `[B]` videos, for f. */
  readonly text: tf.Tensor;
  readonly video: tf.Tensor;
}

/**
 * One outer step as a numeric function: inputs `{state, sets, batches, schedule}` → `{state, metrics}`.
 *
 * - `state`: `{map, potential}`, each as `adamState` makes it.
 * - `sets`: `text [n, E]` and `video [m, E]`; resident on the device, so that only indices travel.
 * - `batches`: int32 `map [K, B]`, `text [B]`, `video [B]`.
 * - `schedule`: `learningRate`, `mapCorrection1 [K]`, `mapCorrection2 [K]`, `correction1`, `correction2`.
 * - `metrics`: `mapLoss`, `cost`, `potentialOfMapped`, `mapGradientNorm`, each `[K]`; `potentialLoss`, `potentialGradientNorm`.
 */
export function neuralStep(layout: NeuralLayout, options: NeuralStepOptions): (inputs: Branch<tf.Tensor>) => Branch<tf.Tensor> {
  const {costWeight} = options;
  const T = (vector: tf.Tensor, x: tf.Tensor): tf.Tensor => trainedPerceptron(unpack(vector, layout.map), x);
  return (inputs) => {
    const state = inputs['state'] as Record<string, Branch<tf.Tensor>>;
    const {text, video} = inputs['sets'] as Record<string, tf.Tensor>;
    const batches = inputs['batches'] as unknown as Batches;
    const schedule = inputs['schedule'] as unknown as Schedule;
    const f = frozenPerceptron(unpack(state['potential']['params'] as tf.Tensor, layout.potential));

    const {state: map, metrics: ofMap} = mapRounds(
      state['map'],
      batches.map,
      schedule,
      (vector, rows) => {
        const y = tf.gather(text, rows);
        const mapped = T(vector, y);
        const cost = tf.mean(tf.square(tf.sub(mapped, y)));
        const potentialOfMapped = tf.mean(f(mapped));
        return {loss: tf.sub(tf.mul(cost, costWeight), potentialOfMapped), metrics: {cost, potentialOfMapped}};
      },
      options,
    );

    const mapped = T(map['params'] as tf.Tensor, tf.gather(text, batches.text));
    const real = tf.gather(video, batches.video);
    const loss = (vector: tf.Tensor): Loss => {
      const [ofMapped, ofReal] = tf.split(trainedPerceptron(unpack(vector, layout.potential), tf.concat([mapped, real])), 2);
      return {loss: tf.sub(tf.mean(ofMapped), tf.mean(ofReal)), metrics: {}};
    };
    const {
      state: nextPotential,
      metrics: [metrics],
    } = adamUpdates(state['potential'], [{loss, step: schedule}], options);
    return {
      state: {map, potential: nextPotential},
      metrics: {
        mapLoss: ofMap['loss'],
        cost: ofMap['cost'],
        potentialOfMapped: ofMap['potentialOfMapped'],
        mapGradientNorm: ofMap['gradientNorm'],
        potentialLoss: metrics['loss'],
        potentialGradientNorm: metrics['gradientNorm'],
      },
    };
  };
}
