/**
 * A policy's parameters on a device: what is trained and what is frozen, each one vector.
 *
 * With LoRA the trained vector is the adapter, and the network beneath it is frozen: without the adapter it is the policy that
 * training began with.
 */
import type * as tf from '@tensorflow/tfjs-core';
import type {Device, ResidentTree} from '../engine/device.js';
import type {Environment} from '../environment.js';
import {ContractError} from '../errors.js';
import type {NdArray} from '../tensor/ndarray.js';
import {pack, packing, unpack, unpackArray, type Packing} from '../tensor/pack.js';
import {leaves, unflatten, type Branch, type Params} from '../tensor/tree.js';
import {
  adaptedLayers,
  adaptedTensors,
  initialAdapter,
  mergeAdapter,
  scaleOf,
  type AdaptedLayer,
  type LoraOptions,
} from './adapter.js';

/** Where each parameter lies. */
export interface PolicyPacking {
  /** What learns: the denoising network, or with LoRA the adapter alone. */
  readonly trained: Packing;
  /** The text tower. */
  readonly frozen: Packing;
  /** With LoRA: the denoising network, and what changes it. */
  readonly lora?: {
    readonly base: Packing;
    readonly scale: number;
    readonly layers: readonly AdaptedLayer[];
    readonly options: LoraOptions;
  };
}

/** The vectors of a policy. `base` is there with LoRA; `trained` may then be left out, which turns the adapter off. */
export interface PolicyVectors<T> {
  readonly trained?: T;
  readonly frozen: T;
  readonly base?: T;
}

/** Those of its denoising network. */
export type NetworkVectors<T> = Omit<PolicyVectors<T>, 'frozen'>;

/**
 * The packing of a policy's parameters.
 *
 * @param lora if given, only an adapter of the layers that it names is trained.
 * @throws ContractError if `params` are not the parameters that the environment's policy is made of; ConfigError if `lora` names a
 * layer that there is not, or a rank that is too high.
 */
export function packPolicyFor(environment: Environment, params: Params, lora?: LoraOptions): PolicyPacking {
  const wanted = new Map(leaves<NdArray>(environment.initialise(0)).map(([path, leaf]) => [path, leaf.shape.join()]));
  for (const [path, leaf] of leaves<NdArray>(params)) {
    const shape = wanted.get(path);
    if (shape === undefined)
      throw new ContractError(`policy: "${path}" is not a parameter of ${environment.name} ${environment.preset}.`);
    if (shape !== leaf.shape.join()) throw new ContractError(`policy: "${path}" must be [${shape}]; got [${leaf.shape.join()}].`);
    wanted.delete(path);
  }
  const [missing] = wanted.keys();
  if (missing !== undefined)
    throw new ContractError(`policy: parameter "${missing}" of ${environment.name} ${environment.preset} is missing.`);
  const {isText} = environment.policy;
  const network = packing(params, (path) => !isText(path));
  const frozen = packing(params, isText);
  if (!lora) return {trained: network, frozen};
  const layers = adaptedLayers(environment, params, lora);
  const trained = packing(initialAdapter(layers, lora));
  return {trained, frozen, lora: {base: network, scale: scaleOf(lora), layers, options: lora}};
}

/**
 * The vectors of a policy before training: with LoRA, under an adapter that changes nothing yet.
 *
 * @throws ShapeError if `params` are not those that the packing was made for.
 */
export function packedPolicy(
  params: Params,
  {trained, frozen, lora}: PolicyPacking,
): PolicyVectors<NdArray<'float32'>> & {readonly trained: NdArray<'float32'>} {
  if (!lora) return {trained: pack(params, trained), frozen: pack(params, frozen)};
  const adapter = initialAdapter(lora.layers, lora.options);
  return {trained: pack(adapter, trained), base: pack(params, lora.base), frozen: pack(params, frozen)};
}

/** The vector that lies under an adapter. */
function baseOf<T>({base}: NetworkVectors<T>): T {
  if (base !== undefined) return base;
  throw new ContractError('policy: wanted the vector "base" of the network beneath a LoRA adapter; got none.');
}

/** The parameters back from their vectors; an adapter is merged into the weights that it changes. */
export function unpackedPolicy(vectors: PolicyVectors<NdArray<'float32'>>, layout: PolicyPacking): Params {
  const network = networkOf(vectors, layout, unpackArray, mergeAdapter);
  return unflatten([...leaves<NdArray>(network), ...leaves<NdArray>(unpackArray(vectors.frozen, layout.frozen))]);
}

function networkOf<T, L>(
  vectors: NetworkVectors<T>,
  {trained, lora}: PolicyPacking,
  read: (vector: T, layout: Packing) => Branch<L>,
  merge: (base: Branch<L>, adapter: Branch<L>, scale: number) => Branch<L>,
): Branch<L> {
  const network = read(lora ? baseOf(vectors) : vectors.trained!, lora ? lora.base : trained);
  return lora && vectors.trained !== undefined ? merge(network, read(vectors.trained, trained), lora.scale) : network;
}

/** The parameters inside a numeric function. */
export const policyTensors = (vectors: PolicyVectors<tf.Tensor>, layout: PolicyPacking): Branch<tf.Tensor> =>
  unflatten([...leaves<tf.Tensor>(networkTensors(vectors, layout)), ...leaves<tf.Tensor>(unpack(vectors.frozen, layout.frozen))]);

/** Those of the denoising network alone, where no text is encoded. */
export const networkTensors = (vectors: NetworkVectors<tf.Tensor>, layout: PolicyPacking): Branch<tf.Tensor> =>
  networkOf(vectors, layout, unpack, adaptedTensors);

/** Puts a policy on a device. */
export const putPolicy = (device: Device, params: Params, layout: PolicyPacking): Promise<ResidentTree> =>
  device.put({...packedPolicy(params, layout)});
