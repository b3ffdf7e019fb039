/** Several updates of a map's network in a row, in one graph: a call to the device costs what a small update does. */
import * as tf from '@tensorflow/tfjs-core';
import type {Branch} from '../../tensor/tree.js';
import {adamUpdate, type AdamUpdateOptions} from './adam.js';

/** A loss, and what else is reported about it. */
export interface Loss {
  readonly loss: tf.Tensor;
  readonly metrics: Readonly<Record<string, tf.Tensor>>;
}

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
  let map = state;
  const rounds = tf.unstack(indices).map((rows, k) => {
    const step = {
      learningRate: schedule.learningRate,
      correction1: at(schedule.mapCorrection1, k),
      correction2: at(schedule.mapCorrection2, k),
    };
    const updated = adamUpdate(map, (params) => loss(params, rows), step, options);
    map = updated.state;
    return updated.metrics;
  });
  const names = Object.keys(rounds[0]);
  return {
    state: map,
    metrics: Object.fromEntries(names.map((name) => [name, tf.stack(rounds.map((m) => tf.reshape(m[name], [])))])),
  };
}
