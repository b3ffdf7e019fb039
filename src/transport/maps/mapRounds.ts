/** Several updates of a map's network in a row, in one graph: a call to the device costs what a small update does. */
import * as tf from '@tensorflow/tfjs-core';
import type {Branch} from '../../tensor/tree.js';
import {adamUpdates, type AdamUpdateOptions, type Loss} from './adam.js';

/** What changes from call to call. */
export interface RoundsSchedule {
  readonly learningRate: tf.Tensor;
  /** Adam's corrections of the K updates: `[K]`. */
  readonly mapCorrection1: tf.Tensor;
  readonly mapCorrection2: tf.Tensor;
}

const at = (vector: tf.Tensor, i: number): tf.Tensor => tf.reshape(tf.slice(vector, [i], [1]), []);

/**
 * K updates, one for each row of `indices`.
 *
 * @param state of `adamState`.
 * @param indices `[K, B]` int32.
 * @param loss of the parameters and of the rows `[B]` of one update.
 * @returns the state after them; `loss`, the loss's metrics and `gradientNorm`, each `[K]`.
 */
export function mapRounds(
  state: Branch<tf.Tensor>,
  indices: tf.Tensor,
  schedule: RoundsSchedule,
  loss: (params: tf.Tensor, rows: tf.Tensor) => Loss,
  options: AdamUpdateOptions,
): {state: Branch<tf.Tensor>; metrics: Record<string, tf.Tensor>} {
  const updates = tf.unstack(indices).map((rows, k) => ({
    loss: (params: tf.Tensor): Loss => loss(params, rows),
    step: {
      learningRate: schedule.learningRate,
      correction1: at(schedule.mapCorrection1, k),
      correction2: at(schedule.mapCorrection2, k),
    },
  }));
  const {state: map, metrics: rounds} = adamUpdates(state, updates, options);
  const names = Object.keys(rounds[0]);
  return {
    state: map,
    metrics: Object.fromEntries(names.map((name) => [name, tf.stack(rounds.map((m) => tf.reshape(m[name], [])))])),
  };
}
