/** Requests for videos to look at or to score, rather than to learn from. */
import type {Prompt} from '../environment.js';
import {odeTable} from '../numeric/samplers/named.js';
import type {GenerateRequest} from './generate.js';

/** What is chosen of such a request; the rest follows. */
export interface NoiselessRequest {
  readonly prompts: readonly Prompt[];
  /** Videos a prompt. Default 1. */
  readonly samples?: number;
  readonly steps: number;
  readonly seed: number;
  /** Purpose of the initial noise: what shares it is paired. */
  readonly purpose: string;
}

/** Samples by the ODE, each from an initial noise of its own that no iteration changes. */
export const noiseless = ({prompts, samples = 1, steps, seed, purpose}: NoiselessRequest): GenerateRequest => ({
  prompts,
  samples,
  table: odeTable(steps),
  seed,
  iteration: 0,
  purpose,
  sharedStart: false,
});
