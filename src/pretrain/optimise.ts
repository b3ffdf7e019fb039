/**
 * The optimizer of every network that is trained from nothing: Muon for the matrices inside the blocks, AdamW for everything
 * else, one clipping over both, and an average of the weights. All of a network is two vectors.
 */
import * as tf from '@tensorflow/tfjs-core';
import {NonFiniteError} from '../errors.js';
import {adamCorrections, adamw, type AdamWOptions} from '../numeric/optim/adamw.js';
import {clipByGlobalNorm} from '../numeric/optim/clip.js';
import {ema} from '../numeric/optim/ema.js';
import {nesterov, orthogonalise, type MuonOptions} from '../numeric/optim/muon.js';
import {scalar, zeros, type NdArray} from '../tensor/ndarray.js';
import {pack, packing, unpack, unpackArray, type Packing} from '../tensor/pack.js';
import {leaves, unflatten, type Branch, type Params} from '../tensor/tree.js';

/** Constants of AdamW here; a trainer needs them for the corrections of an update. */
export const adamOptions: AdamWOptions = {beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weightDecay: 0.01};
const MUON: MuonOptions = {momentum: 0.95, weightDecay: 0.01};
const MAX_GRADIENT_NORM = 1;

/** Which parameters are matrices inside blocks, and where all of them lie in the two vectors. */
export interface NetworkLayout {
  readonly matrices: Packing;
  readonly rest: Packing;
}

/** A network as two vectors. */
export interface PackedNetwork {
  readonly matrices: NdArray<'float32'>;
  readonly rest: NdArray<'float32'>;
}

/** Matrices inside the blocks are Muon's; embeddings, positions, norms, convolutions, first and last layer are AdamW's. */
export function networkLayout(params: Params): NetworkLayout {
  const inner = (path: string, shape: readonly number[]): boolean =>
    shape.length === 2 && path.includes('blocks.') && path.endsWith('.weight');
  return {matrices: packing(params, inner), rest: packing(params, (path, shape) => !inner(path, shape))};
}

/** Parameters as two vectors. */
export const packNetwork = (params: Params, layout: NetworkLayout): PackedNetwork => ({
  matrices: pack(params, layout.matrices),
  rest: pack(params, layout.rest),
});

/** Two vectors as parameters. */
export const unpackNetwork = (vectors: PackedNetwork, layout: NetworkLayout): Params =>
  unflatten([...leaves(unpackArray(vectors.matrices, layout.matrices)), ...leaves(unpackArray(vectors.rest, layout.rest))]);

/** The same on tensors, differentiable. */
export const networkTensors = (matrices: tf.Tensor, rest: tf.Tensor, layout: NetworkLayout): Branch<tf.Tensor> =>
  unflatten([...leaves<tf.Tensor>(unpack(matrices, layout.matrices)), ...leaves<tf.Tensor>(unpack(rest, layout.rest))]);

/** State before the first update: parameters, their average, Muon's momentum, AdamW's moments. */
export function initialState(params: Params, layout: NetworkLayout): Params {
  const vectors = packNetwork(params, layout);
  return {
    params: {...vectors},
    average: {
      matrices: {...vectors.matrices, data: vectors.matrices.data.slice()},
      rest: {...vectors.rest, data: vectors.rest.data.slice()},
    },
    momentum: zeros('float32', [layout.matrices.size]),
    first: zeros('float32', [layout.rest.size]),
    second: zeros('float32', [layout.rest.size]),
  };
}

/** The scalars of update `n`, counted from 0, at a share of the plan's peak rates. */
export function scheduleOf(
  plan: {readonly muonRate: number; readonly adamRate: number},
  n: number,
  share: number,
  averageDecay: number,
): Params {
  const {correction1, correction2} = adamCorrections(n + 1, adamOptions);
  return {
    muonRate: scalar(plan.muonRate * share),
    adamRate: scalar(plan.adamRate * share),
    correction1: scalar(correction1),
    correction2: scalar(correction2),
    averageDecay: scalar(averageDecay),
  };
}

/** What a trainer throws where update `n` was not applied. */
export const refusedUpdate = (n: number, loss: number, gradientNorm: number): NonFiniteError =>
  new NonFiniteError(
    `pretrain: update ${n} has loss ${loss} and gradient norm ${gradientNorm}; it was not applied. Try a lower rate.`,
  );

/** The tensor at a path of keys; the caller knows that there is one. */
export const at = (tree: Branch<tf.Tensor>, ...keys: string[]): tf.Tensor =>
  keys.reduce<unknown>((node, key) => (node as Branch<tf.Tensor>)[key], tree) as tf.Tensor;

/**
 * One update of a network: loss, backward, clipping, Muon and AdamW, average.
 *
 * @param loss of the parameters, as `networkTensors` gives them.
 * @param state of `initialState`.
 * @param schedule scalars `muonRate`, `adamRate`, `correction1`, `correction2`, `averageDecay`.
 * @returns the state after it, and loss and gradient norm before it.
 */
export function optimise(
  layout: NetworkLayout,
  loss: (params: Branch<tf.Tensor>) => tf.Scalar,
  state: Branch<tf.Tensor>,
  schedule: Branch<tf.Tensor>,
): {state: Branch<tf.Tensor>; loss: tf.Tensor; gradientNorm: tf.Tensor} {
  const [matrices, rest] = [at(state, 'params', 'matrices'), at(state, 'params', 'rest')];
  const {value, grads} = tf.valueAndGrads((m: tf.Tensor, r: tf.Tensor) => loss(networkTensors(m, r, layout)))([matrices, rest]);
  const {gradients, norm} = clipByGlobalNorm(grads, tf.scalar(MAX_GRADIENT_NORM));

  const {momentum, direction} = nesterov(gradients[0], at(state, 'momentum'), MUON.momentum);
  const directions = leaves<tf.Tensor>(unpack(direction, layout.matrices)).map(([, t]) => t);
  // Queries, keys and values lie side by side in one matrix.
  const squareParts = layout.matrices.entries.map(
    ({path}) => path.endsWith('qkv.weight') || path.endsWith('attention.text.weight'),
  );
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
    adamOptions,
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
    loss: value,
    gradientNorm: norm,
  };
}
