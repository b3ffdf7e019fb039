/**
 * Consistency distillation: the clean latent predicted at one noise level must be the one predicted a little nearer to the clean
 * latent, where a frozen teacher's step along the flow leads. A network that obeys jumps in one step to where the teacher walks in many.
 *
 * @source Song et al. 2023, "Consistency models", arXiv:2303.01469, §4; pseudo-Huber: Song & Dhariwal 2023, arXiv:2310.14189, §3.3.
 */
import * as tf from '@tensorflow/tfjs-core';
import {detach} from './detach.js';
import {meanOfRows} from './rows.js';
import {meanOf} from './transition.js';

/**
 * Pseudo-Huber distance: mean over elements of √(d² + c²) − c, d = prediction − target. Square for |d| ≪ c, |d| − c beyond.
 *
 * @param width c, in the unit of the latent; > 0.
 * @returns `[B]`.
 */
export const pseudoHuber = (prediction: tf.Tensor, target: tf.Tensor, width: tf.Tensor): tf.Tensor =>
  meanOfRows(tf.sub(tf.sqrt(tf.add(tf.squaredDifference(prediction, target), tf.square(width))), width));

/** Weights of latent and predicted clean latent in a jump along the straight flow: x' = a·x + b·x̂0. */
export interface Jump {
  readonly a: number;
  readonly b: number;
}

/**
 * A jump from one flow time to another, (to/from)·x + (1 − to/from)·x̂0; from a time to itself it stays, also at 0.
 *
 * @param from in [0, 1].
 * @param to in [0, from].
 */
export const jumpBetween = (from: number, to: number): Jump => (from === to ? {a: 1, b: 0} : {a: to / from, b: 1 - to / from});

/** Jumps of a batch, `[B]` each. */
export interface Jumps {
  readonly a: tf.Tensor;
  readonly b: tf.Tensor;
}

/** A batch of noisy latents and what is done with them. */
export interface ConsistencyPoint {
  /** `[B, …]` (1 − t)·x0 + t·ε. */
  readonly latent: tf.Tensor;
  /** `[B, …]` clean latent that the student predicts of it, differentiable. */
  readonly x0: tf.Tensor;
  /** Jumps from t to the end: the student's. */
  readonly end: Jumps;
  /** Jumps from t to the next time s < t: the teacher's step. */
  readonly step: Jumps;
  /** Jumps from s to the end; where s is the end, the target is the teacher's latent itself and the student is held to it. */
  readonly rest: Jumps;
}

/** Networks of a distillation: a latent in, the predicted clean latent out. */
export interface ConsistencyNetworks {
  /** The frozen policy whose step is followed, asked at t. */
  readonly teacher: (latent: tf.Tensor) => tf.Tensor;
  /** The student itself or its average, asked at s; no gradient flows through it. */
  readonly target: (latent: tf.Tensor) => tf.Tensor;
}

/**
 * The consistency loss of each row: the pseudo-Huber distance of the student's jump from t and the target's jump from where the
 * teacher's step leads.
 *
 * @source PISCES, arXiv:2602.01624, §3.4; released `distill.py` with one phase per end.
 * @param width c of {@link pseudoHuber}, a scalar.
 * @returns `[B]`.
 */
export function consistencyLoss(
  {latent, x0, end, step, rest}: ConsistencyPoint,
  {teacher, target}: ConsistencyNetworks,
  width: tf.Tensor,
): tf.Tensor {
  const nearer = detach(meanOf({latent, x0: teacher(latent), ...step}));
  const goal = detach(meanOf({latent: nearer, x0: target(nearer), ...rest}));
  return pseudoHuber(meanOf({latent, x0, ...end}), goal, width);
}
