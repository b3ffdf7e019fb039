/**
 * Consistency distillation from the policy that training began with, of clips that the policy has drawn: what the losses that have
 * the term share.
 *
 *   L_CD = mean [√(d² + c²) − c],   d = x̂0(x_t) − sg x̂0(z_s),   x_t = (1 − t)·x0 + t·ε
 *
 * z_s is where the starting policy's step leads from t to the next time s of its table. At the end of the table it is the video
 * itself, and the policy is held to the one that training began with; the steps before pass that on towards noise.
 *
 * @source PISCES, arXiv:2602.01624, §3.4 (`src/numeric/consistency.ts` has the formula and its sources).
 */
import type * as tf from '@tensorflow/tfjs-core';
import type {PolicyInGraph} from '../algorithm.js';
import {consistencyLoss, jumpBetween, type Jump, type Jumps} from '../numeric/consistency.js';
import {odeTable} from '../numeric/samplers/named.js';
import type {Transition} from '../numeric/samplers/sampler.js';
import {float32, type NdArray} from '../tensor/ndarray.js';
import {permutation, type NoiseKey} from '../tensor/random.js';
import type {Branch, Params} from '../tensor/tree.js';
import {noisedRows} from './noisedDraws.js';

/**
 * A step of the teacher for each of `count` clips, without repetition as far as the table goes: so an update sees times from all
 * over it.
 *
 * @param steps of the flow from noise to video, of which the teacher takes one; ≥ 1.
 */
export function teacherSteps(count: number, steps: number, key: NoiseKey): Transition[] {
  const table = odeTable(steps);
  const order = permutation(key, table.length);
  return Array.from({length: count}, (_, i) => table[order[i % table.length]]);
}

/**
 * Clean latents noised to where their teacher's steps begin, with what {@link distillationRows} wants to know of the steps.
 *
 * @param clean `[n, …]`.
 * @param steps one for each.
 * @param keyOf of the noise of each.
 * @returns a branch: `latent` `[n, …]`; `time`, `scale` and `next` `[n]`; the jumps `end`, `step` and `rest`.
 */
export function distillationPoint(
  clean: NdArray<'float32'>,
  steps: readonly Transition[],
  keyOf: (row: number) => NoiseKey,
): Params {
  const numbers = (of: (step: Transition) => number): NdArray<'float32'> => float32(steps.map(of));
  const jumps = (of: (step: Transition) => Jump): Params => ({a: numbers((s) => of(s).a), b: numbers((s) => of(s).b)});
  return {
    latent: noisedRows(
      clean,
      steps.map(({time}) => time),
      keyOf,
    ),
    time: numbers(({time}) => time),
    scale: numbers(() => 1),
    // At the end nothing is asked, and the network has no time 0.
    next: numbers(({time, nextTime}) => nextTime || time),
    end: jumps(({time}) => jumpBetween(time, 0)),
    step: jumps(({time, nextTime}) => jumpBetween(time, nextTime)),
    rest: jumps(({nextTime}) => jumpBetween(nextTime, 0)),
  };
}

/**
 * The distillation of each row: one prediction of the teacher and one of the target, neither with a gradient.
 *
 * @param batch with `point` of {@link distillationPoint} and the `text` states `[n, L, D]` of its rows.
 * @param x0 `[n, …]` clean latent that the policy predicts at the point, differentiable.
 * @param target whose jump is the target: the present policy's (`self`) or its average's.
 * @param width c of the pseudo-Huber distance, a scalar.
 * @returns `[n]`, latent units.
 */
export function distillationRows(
  policy: PolicyInGraph,
  batch: Branch<tf.Tensor>,
  x0: tf.Tensor,
  target: 'self' | 'average',
  width: tf.Tensor,
): tf.Tensor {
  const text = batch['text'];
  const point = batch['point'] as Branch<tf.Tensor>;
  const {latent, scale, next} = point as Record<string, tf.Tensor>;
  const {end, step, rest} = point as unknown as Record<string, Jumps>;
  const networks = {
    teacher: () => policy.predictReference({...point, text}),
    target: (nearer: tf.Tensor) => {
      const question = {latent: nearer, time: next, scale, text};
      return target === 'self' ? policy.predictHeld(question) : policy.predictAverage(question);
    },
  };
  return consistencyLoss({latent, x0, end, step, rest}, networks, width);
}
