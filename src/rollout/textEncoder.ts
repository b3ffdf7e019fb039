/** Captions as text states, on the device: once a prompt, not once a step. */
import type * as tf from '@tensorflow/tfjs-core';
import type {Device, ResidentTree} from '../engine/device.js';
import type {Environment} from '../environment.js';
import type {NdArray} from '../tensor/ndarray.js';
import {policyTensors, type PolicyPacking, type PolicyVectors} from './residentPolicy.js';

/** Text states `[n, L, D]` of captions under a policy that is on the device. @throws ConfigError naming an unknown word. */
export type TextEncoder = (policy: ResidentTree, texts: readonly string[]) => Promise<NdArray<'float32'>>;

/** Builds the text encoder of an environment's policies. */
export function textEncoder({policy}: Environment, device: Device, layout: PolicyPacking): TextEncoder {
  const encode = device.jit('rollout/encode', (inputs) => {
    const vectors = inputs['policy'] as unknown as PolicyVectors<tf.Tensor>;
    return {text: policy.encode(policyTensors(vectors, layout), inputs['tokens'] as tf.Tensor)};
  });
  return async (resident, texts) => {
    const {outputs} = await encode({policy: resident, tokens: policy.tokenize(texts)});
    return outputs['text'] as NdArray<'float32'>;
  };
}
