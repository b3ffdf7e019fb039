/**
 * One pre-training update of a policy as a numeric function: flow matching with x-prediction. Loss, backward and update are one
 * graph.
 *
 * @source Lipman et al. 2023, Flow Matching, arXiv:2210.02747; the recipe is the project's own (docs/world.md).
 */
import * as tf from '@tensorflow/tfjs-core';
import '../autograd/index.js';
import type {Policy} from '../environment.js';
import {addNoise, flowMatchingError} from '../numeric/forwardProcess.js';
import {asVideo} from '../tensor/pixels.js';
import type {Branch} from '../tensor/tree.js';
import {at, networkTensors, optimise, type NetworkLayout} from './optimise.js';

/** A batch's clean video and its noisy latent. */
function noised(batch: Branch<tf.Tensor>): {video: tf.Tensor; latent: tf.Tensor} {
  const video = asVideo(at(batch, 'video'));
  return {video, latent: addNoise(video, at(batch, 'noise'), at(batch, 'time'))};
}

/**
 * Weighted error of the predicted clean latent: mean ((x̂0 − x0)/max(t, .2))².
 *
 * @param batch `video` uint8 `[B, F, H, W, C]`, `noise` of that shape, `time [B]`, `tokens [B, L]`, `drop [B]` 1 where the
 * caption is withheld.
 */
function flowMatchingLoss(policy: Policy, params: Branch<tf.Tensor>, batch: Branch<tf.Tensor>): tf.Scalar {
  const {video, latent} = noised(batch);
  const time = at(batch, 'time');
  const count = video.shape[0];
  const drop = tf.reshape(at(batch, 'drop'), [count, 1, 1]);
  const text = policy.encode(params, at(batch, 'tokens'));
  const shown = tf.add(tf.mul(text, tf.sub(1, drop)), tf.mul(policy.encodeNull(params, count), drop));
  return tf.mean(flowMatchingError(policy.denoise(params, latent, time, shown), video, time));
}

/** inputs `{state, batch, schedule}` → `{state, metrics: {loss, gradientNorm}}`. */
export function policyStep(policy: Policy, layout: NetworkLayout): (inputs: Branch<tf.Tensor>) => Branch<tf.Tensor> {
  return (inputs) => {
    const [state, batch, schedule] = [inputs['state'], inputs['batch'], inputs['schedule']] as Branch<tf.Tensor>[];
    const next = optimise(layout, (params) => flowMatchingLoss(policy, params, batch), state, schedule);
    return {state: next.state, metrics: {loss: next.loss, gradientNorm: next.gradientNorm}};
  };
}

/** Mean squared error of x̂0, unweighted, of the averaged weights: inputs `{average, batch}` → `{error}`. */
export function heldOutError(policy: Policy, layout: NetworkLayout): (inputs: Branch<tf.Tensor>) => Branch<tf.Tensor> {
  return (inputs) => {
    const [average, batch] = [inputs['average'], inputs['batch']] as Branch<tf.Tensor>[];
    const params = networkTensors(at(average, 'matrices'), at(average, 'rest'), layout);
    const {video, latent} = noised(batch);
    const predicted = policy.denoise(params, latent, at(batch, 'time'), policy.encode(params, at(batch, 'tokens')));
    return {error: tf.mean(tf.square(tf.sub(predicted, video)))};
  };
}
