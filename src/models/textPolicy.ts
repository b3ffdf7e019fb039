/** A policy made of the text tower and the denoising transformer: what an environment needs of a network, in one call. */
import type {Environment, Policy} from '../environment.js';
import type {NdArray} from '../tensor/ndarray.js';
import {denoise, initialiseDenoiser, type DenoiserConfig} from './denoiser.js';
import {branch} from './layers.js';
import {encodeNullText, encodeText} from './textTower.js';

/** A network and the tokenizer that goes with it. */
export interface TextPolicyConfig {
  readonly network: DenoiserConfig;
  /** Captions → `[B, L]` int32; ConfigError on an unknown word. */
  readonly tokenize: (texts: readonly string[]) => NdArray<'int32'>;
}

/** Builds the policy and its initialiser. Parameters of the text tower lie under `text`. */
export function textPolicy({network, tokenize}: TextPolicyConfig): Pick<Environment, 'policy' | 'initialise'> {
  const policy: Policy = {
    textLength: network.text.length,
    tokenize,
    encode: (params, tokens) => encodeText(network.text, branch(params, 'text'), tokens),
    encodeNull: (params, batch) => encodeNullText(branch(params, 'text'), batch),
    denoise: (params, latent, time, text) => denoise(network, params, latent, time, text),
    isText: (path) => path.startsWith('text.'),
  };
  return {policy, initialise: (seed) => initialiseDenoiser(network, seed)};
}
