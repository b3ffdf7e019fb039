/** Samples of a policy that is given as arrays, without noise in the steps and without guidance, some prompts at a time. */
import type {Device} from '../engine/device.js';
import type {Environment, Prompt} from '../environment.js';
import type {Params} from '../tensor/tree.js';
import {createGenerator, type Trajectories} from './generate.js';
import {noiseless} from './noiseless.js';
import {packPolicyFor, putPolicy} from './residentPolicy.js';

/** How samples are drawn. */
export interface SamplesRequest {
  readonly environment: Environment;
  readonly device: Device;
  readonly policy: Params;
  readonly prompts: readonly Prompt[];
  /** Samples of each prompt. */
  readonly samples: number;
  /** Denoising steps. */
  readonly steps: number;
  readonly seed: number;
  /** Of the noise that samples start from. */
  readonly purpose: string;
  /** Prompts that are generated at once. */
  readonly atOnce: number;
}

/** Draws them batch by batch; the policy lies on the device for as long as batches are asked for. */
export async function* policySamples({
  environment,
  device,
  policy,
  prompts,
  atOnce,
  ...how
}: SamplesRequest): AsyncGenerator<Trajectories> {
  const layout = packPolicyFor(environment, policy);
  const generate = createGenerator(environment, device, layout, 'gaussian', 1);
  const resident = await putPolicy(device, policy, layout);
  try {
    for (let first = 0; first < prompts.length; first += atOnce) {
      yield await generate(resident, noiseless({...how, prompts: prompts.slice(first, first + atOnce)}));
    }
  } finally {
    await device.free(resident);
  }
}
