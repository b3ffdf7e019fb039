/** A policy's parameters on a device: what is trained and what is frozen, each one vector. */
import type * as tf from '@tensorflow/tfjs-core';
import type {Device, ResidentTree} from '../engine/device.js';
import type {Environment} from '../environment.js';
import {ContractError} from '../errors.js';
import type {NdArray} from '../tensor/ndarray.js';
import {pack, packing, unpack, unpackArray, type Packing} from '../tensor/pack.js';
import {leaves, unflatten, type Branch, type Params} from '../tensor/tree.js';

/** Where each parameter lies. The text tower is frozen while a policy is fine-tuned. */
export interface PolicyPacking {
  readonly trained: Packing;
  readonly frozen: Packing;
}

/**
 * The packing of a policy's parameters.
 *
 * @throws ContractError if `params` are not the parameters that the environment's policy is made of.
 */
export function packPolicyFor(environment: Environment, params: Params): PolicyPacking {
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
  return {trained: packing(params, (path) => !isText(path)), frozen: packing(params, isText)};
}

/** Vectors of a policy: what a numeric function takes. */
export const packedPolicy = (
  params: Params,
  layout: PolicyPacking,
): {trained: NdArray<'float32'>; frozen: NdArray<'float32'>} => ({
  trained: pack(params, layout.trained),
  frozen: pack(params, layout.frozen),
});

/** The parameters back from their vectors. */
export const unpackedPolicy = (
  vectors: {readonly trained: NdArray<'float32'>; readonly frozen: NdArray<'float32'>},
  layout: PolicyPacking,
): Params =>
  unflatten([
    ...leaves<NdArray>(unpackArray(vectors.trained, layout.trained)),
    ...leaves<NdArray>(unpackArray(vectors.frozen, layout.frozen)),
  ]);

/** The same inside a numeric function. */
export const policyTensors = (trained: tf.Tensor, frozen: tf.Tensor, layout: PolicyPacking): Branch<tf.Tensor> =>
  unflatten([...leaves<tf.Tensor>(unpack(trained, layout.trained)), ...leaves<tf.Tensor>(unpack(frozen, layout.frozen))]);

/** The trained part alone, where no text is encoded. */
export const trainedTensors = (trained: tf.Tensor, layout: PolicyPacking): Branch<tf.Tensor> => unpack(trained, layout.trained);

/** Puts a policy on a device. */
export const putPolicy = (device: Device, params: Params, layout: PolicyPacking): Promise<ResidentTree> =>
  device.put(packedPolicy(params, layout));
