/**
 * One pre-training update of a policy as a numeric function: flow matching with x-prediction, Muon for the matrices inside the
 * blocks, AdamW for everything else, clipping, and an average of the weights. Loss, backward and update are one graph.
 *
 * @source Lipman et al. 2023, Flow Matching, arXiv:2210.02747; the recipe is the project's own (docs/world.md).
 */
import * as tf from '@tensorflow/tfjs-core';
import '../autograd/index.js';
import type {Policy} from '../environment.js';
import {adamw, type AdamWOptions} from '../numeric/optim/adamw.js';
import {clipByGlobalNorm} from '../numeric/optim/clip.js';
import {ema} from '../numeric/optim/ema.js';
import {nesterov, orthogonalise, type MuonOptions} from '../numeric/optim/muon.js';
import {perRow} from '../numeric/rows.js';
import {zeros, type NdArray} from '../tensor/ndarray.js';
import {pack, packing, unpack, unpackArray, type Packing} from '../tensor/pack.js';
import {leaves, unflatten, type Branch, type Params} from '../tensor/tree.js';

/** Times below this weigh no more than it: 1/t² would let nearly clean latents drown the rest. */
const MINIMUM_TIME = 0.2;
const ADAM: AdamWOptions = {beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weightDecay: 0.01};
const MUON: MuonOptions = {momentum: 0.95, weightDecay: 0.01};
const MAX_GRADIENT_NORM = 1;

/** Which parameters are matrices inside blocks, and where all of them lie in the two vectors. */
export interface PolicyLayout {
  readonly matrices: Packing;
  readonly rest: Packing;
}

/** Matrices inside the blocks are Muon's; embeddings, positions, norms, convolutions, first and last layer are AdamW's. */
export function policyLayout(params: Params): PolicyLayout {
  const inner = (path: string, shape: readonly number[]): boolean =>
    shape.length === 2 && path.includes('blocks.') && path.endsWith('.weight');
  return {matrices: packing(params, inner), rest: packing(params, (path, shape) => !inner(path, shape))};
}

/** Parameters as two vectors. */
export const packPolicy = (params: Params, layout: PolicyLayout): {matrices: NdArray<'float32'>; rest: NdArray<'float32'>} => ({
  matrices: pack(params, layout.matrices),
  rest: pack(params, layout.rest),
});

/** Two vectors as parameters, in the order in which the network was initialised. */
export function unpackPolicy(
  vectors: {readonly matrices: NdArray<'float32'>; readonly rest: NdArray<'float32'>},
  layout: PolicyLayout,
): Params {
  return unflatten([
    ...leaves(unpackArray(vectors.matrices, layout.matrices)),
    ...leaves(unpackArray(vectors.rest, layout.rest)),
  ]);
}

const unpackTensors = (matrices: tf.Tensor, rest: tf.Tensor, layout: PolicyLayout): Branch<tf.Tensor> =>
  unflatten([...leaves<tf.Tensor>(unpack(matrices, layout.matrices)), ...leaves<tf.Tensor>(unpack(rest, layout.rest))]);

/** Trainer state before the first update. */
export function initialState(params: Params, layout: PolicyLayout): Params {
  const vectors = packPolicy(params, layout);
  return {
    params: vectors,
    average: {
      matrices: {...vectors.matrices, data: vectors.matrices.data.slice()},
      rest: {...vectors.rest, data: vectors.rest.data.slice()},
    },
    momentum: zeros('float32', [layout.matrices.size]),
    first: zeros('float32', [layout.rest.size]),
    second: zeros('float32', [layout.rest.size]),
  };
}

const at = (tree: Branch<tf.Tensor>, ...keys: string[]): tf.Tensor =>
  keys.reduce<unknown>((node, key) => (node as Branch<tf.Tensor>)[key], tree) as tf.Tensor;

/** A batch's clean video, its noisy latent (1 − t)·x0 + t·ε, and t to multiply them with. */
function noised(batch: Branch<tf.Tensor>): {video: tf.Tensor; latent: tf.Tensor; time: tf.Tensor} {
  const video = asVideo(at(batch, 'video'));
  const time = perRow(at(batch, 'time'), video);
  const latent = tf.add(tf.mul(video, tf.sub(1, time)), tf.mul(at(batch, 'noise'), time));
  return {video, latent, time};
}

const asVideo = (bytes: tf.Tensor): tf.Tensor => tf.sub(tf.mul(tf.cast(bytes, 'float32'), 1 / 127.5), 1);

/**
 * Weighted error of the predicted clean latent: mean ((x̂0 − x0)/max(t, .2))².
 *
 * @param batch `video` uint8 `[B, F, H, W, C]`, `noise` of that shape, `time [B]`, `tokens [B, L]`, `drop [B]` 1 where the
 * caption is withheld.
 */
function flowMatchingLoss(policy: Policy, params: Branch<tf.Tensor>, batch: Branch<tf.Tensor>): tf.Scalar {
  const {video, latent, time} = noised(batch);
  const count = video.shape[0];
  const drop = tf.reshape(at(batch, 'drop'), [count, 1, 1]);
  const text = policy.encode(params, at(batch, 'tokens'));
  const shown = tf.add(tf.mul(text, tf.sub(1, drop)), tf.mul(policy.encodeNull(params, count), drop));
  const error = tf.sub(policy.denoise(params, latent, at(batch, 'time'), shown), video);
  return tf.mean(tf.square(tf.div(error, tf.maximum(time, MINIMUM_TIME))));
}

/** inputs `{state, batch, schedule}` → `{state, metrics: {loss, gradientNorm}}`. */
export function policyStep(policy: Policy, layout: PolicyLayout): (inputs: Branch<tf.Tensor>) => Branch<tf.Tensor> {
  // Queries, keys and values lie side by side in one matrix.
  const squareParts = layout.matrices.entries.map(
    ({path}) => path.endsWith('qkv.weight') || path.endsWith('attention.text.weight'),
  );
  return (inputs) => {
    const [state, batch, schedule] = [inputs['state'], inputs['batch'], inputs['schedule']] as Branch<tf.Tensor>[];
    const [matrices, rest] = [at(state, 'params', 'matrices'), at(state, 'params', 'rest')];
    const {value, grads} = tf.valueAndGrads((m: tf.Tensor, r: tf.Tensor) =>
      flowMatchingLoss(policy, unpackTensors(m, r, layout), batch),
    )([matrices, rest]);
    const {gradients, norm} = clipByGlobalNorm(grads, tf.scalar(MAX_GRADIENT_NORM));

    const {momentum, direction} = nesterov(gradients[0], at(state, 'momentum'), MUON.momentum);
    const directions = leaves<tf.Tensor>(unpack(direction, layout.matrices)).map(([, t]) => t);
    const update = tf.concat(orthogonalise(directions, squareParts).map((u) => tf.reshape(u, [-1])));
    const rate = at(schedule, 'muonRate');
    const nextMatrices = tf.sub(tf.mul(matrices, tf.sub(1, tf.mul(rate, MUON.weightDecay))), tf.mul(update, rate));

    const adam = adamw(
      rest,
      gradients[1],
      {first: at(state, 'first'), second: at(state, 'second')},
      {
        learningRate: at(schedule, 'adamRate'),
        correction1: at(schedule, 'correction1'),
        correction2: at(schedule, 'correction2'),
      },
      ADAM,
    );
    const decay = at(schedule, 'averageDecay');
    return {
      state: {
        params: {matrices: nextMatrices, rest: adam.params},
        average: {
          matrices: ema(at(state, 'average', 'matrices'), nextMatrices, decay),
          rest: ema(at(state, 'average', 'rest'), adam.params, decay),
        },
        momentum,
        first: adam.state.first,
        second: adam.state.second,
      },
      metrics: {loss: value, gradientNorm: norm},
    };
  };
}

/** Mean squared error of x̂0, unweighted, of the averaged weights: inputs `{average, batch}` → `{error}`. */
export function heldOutError(policy: Policy, layout: PolicyLayout): (inputs: Branch<tf.Tensor>) => Branch<tf.Tensor> {
  return (inputs) => {
    const [average, batch] = [inputs['average'], inputs['batch']] as Branch<tf.Tensor>[];
    const params = unpackTensors(at(average, 'matrices'), at(average, 'rest'), layout);
    const {video, latent} = noised(batch);
    const predicted = policy.denoise(params, latent, at(batch, 'time'), policy.encode(params, at(batch, 'tokens')));
    return {error: tf.mean(tf.square(tf.sub(predicted, video)))};
  };
}

export {ADAM as adamOptions};
