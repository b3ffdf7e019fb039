/** Captions as text states, on the device: once a prompt, not once a step. */
import type * as tf from '@tensorflow/tfjs-core';
import type {Device, Resident, ResidentTree} from '../engine/device.js';
import type {Environment} from '../environment.js';
import type {NdArray} from '../tensor/ndarray.js';
import {policyTensors, type PolicyPacking} from './residentPolicy.js';

/** Text states `[n, L, D]` of captions under a policy that is on the device. @throws ConfigError naming an unknown word. */
export type TextEncoder = (policy: ResidentTree, texts: readonly string[]) => Promise<NdArray<'float32'>>;

/** Builds the text encoder of an environment's policies. */
export function textEncoder({policy}: Environment, device: Device, layout: PolicyPacking): TextEncoder {
  const encode = device.jit('rollout/encode', (inputs) => {
    const {trained, frozen} = inputs['policy'] as Record<string, tf.Tensor>;
    return {text: policy.encode(policyTensors(trained, frozen, layout), inputs['tokens'] as tf.Tensor)};
  });
  return async (resident, texts) => {
    const {trained, frozen} = resident as Record<'trained' | 'frozen', Resident>;
    const {outputs} = await encode({policy: {trained, frozen}, tokens: policy.tokenize(texts)});
    return outputs['text'] as NdArray<'float32'>;
  };
}
