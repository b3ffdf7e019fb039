/** Training of a map's network without a potential: on pairs, or on the moments of both sets. */
import * as tf from '@tensorflow/tfjs-core';
import '../../autograd/index.js';
import {unpack, type Packing} from '../../tensor/pack.js';
import type {Branch} from '../../tensor/tree.js';
import type {AdamUpdateOptions} from './adam.js';
import {mapRounds, type RoundsSchedule} from './mapRounds.js';
import {featureDivergence, gaussianDivergence, squaredError} from './pairedLoss.js';
import {trainedPerceptron} from './perceptronGradient.js';

/** What is minimised. */
export type PairedLoss = 'squaredError' | 'featureDivergence' | 'gaussianDivergence';

/**
 * K updates as a numeric function: inputs `{state, sets, batches, schedule}` → `{state, metrics}`.
 *
 * - `state`: `{map}`, as `adamState` makes it.
 * - `sets`: `text [n, E]` and `video [n, E]`, row i of both a pair; for `gaussianDivergence` also `mean [E]` and `matrix [E, E]`.
 * - `batches`: int32 `map [K, B]`.
 * - `schedule`: `learningRate`, `mapCorrection1 [K]`, `mapCorrection2 [K]`.
 * - `metrics`: `mapLoss` and `mapGradientNorm`, each `[K]`.
 */
export function pairedStep(
  layout: Packing,
  loss: PairedLoss,
  options: AdamUpdateOptions,
): (inputs: Branch<tf.Tensor>) => Branch<tf.Tensor> {
  return (inputs) => {
    const {text, video, mean, matrix} = inputs['sets'] as Record<string, tf.Tensor>;
    const lossOf = (mapped: tf.Tensor, rows: tf.Tensor): tf.Tensor => {
      switch (loss) {
        case 'squaredError':
          return squaredError(mapped, tf.gather(video, rows));
        case 'featureDivergence':
          return featureDivergence(mapped, tf.gather(video, rows));
        case 'gaussianDivergence':
          return gaussianDivergence(mapped, mean, matrix);
      }
    };
    const {state: map, metrics} = mapRounds(
      (inputs['state'] as Record<string, Branch<tf.Tensor>>)['map'],
      (inputs['batches'] as Record<string, tf.Tensor>)['map'],
      inputs['schedule'] as unknown as RoundsSchedule,
      (vector, rows) => ({loss: lossOf(trainedPerceptron(unpack(vector, layout), tf.gather(text, rows)), rows), metrics: {}}),
      options,
    );
    return {state: {map}, metrics: {mapLoss: metrics['loss'], mapGradientNorm: metrics['gradientNorm']}};
  };
}
