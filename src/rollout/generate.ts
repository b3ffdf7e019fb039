/**
 * Generation: prompts in, trajectories out. One compiled step serves every sampler and every step of it, because a sampler is a
 * table of coefficients; the text is encoded once a prompt.
 */
import type * as tf from '@tensorflow/tfjs-core';
import type {Device, Jitted, ResidentTree} from '../engine/device.js';
import type {Environment, Prompt} from '../environment.js';
import {NonFiniteError} from '../errors.js';
import type {Transition} from '../numeric/samplers/sampler.js';
import {meanOf, step, type Density} from '../numeric/transition.js';
import {ndarray, sizeOf, take, type NdArray} from '../tensor/ndarray.js';
import {normals} from '../tensor/random.js';
import type {Branch, Params} from '../tensor/tree.js';
import {predict} from './predict.js';
import {networkTensors, policyTensors, type PolicyPacking, type PolicyVectors} from './residentPolicy.js';
import {textEncoder} from './textEncoder.js';

/** What to generate. */
export interface GenerateRequest {
  /** One entry a prompt, each generated `samples` times. */
  readonly prompts: readonly Prompt[];
  readonly samples: number;
  /** The coefficients of every step. */
  readonly table: readonly Transition[];
  readonly seed: number;
  /** Part of the noise's key; evaluations use one of their own, so that they are paired. */
  readonly iteration: number;
  /** Purpose of the noise: rollouts and evaluations never share any. */
  readonly purpose: string;
  /** Whether the samples of a prompt start from one initial noise and share the steps before the first noisy one. */
  readonly sharedStart: boolean;
  /** Whether the trajectories hold the noise of their steps. Default false. */
  readonly keepNoise?: boolean;
}

/** Finished trajectories, samples of one prompt side by side. */
export interface Trajectories {
  /** `[B]` the prompt of each. */
  readonly prompts: readonly Prompt[];
  /** K+1 latents `[B, …]`, in acting order. */
  readonly latents: readonly NdArray<'float32'>[];
  /** `[K][B]` log-probability of each step, mean over the latent's elements, in nats; 0 for a deterministic step. */
  readonly logProbs: readonly Float32Array[];
  /** Text states of the distinct prompts `[P, L, D]`, and the row of each trajectory. */
  readonly text: NdArray<'float32'>;
  readonly textRow: readonly number[];
  readonly table: readonly Transition[];
  /** `[K]` the noise `[B, …]` of each step, if it was to be kept; a deterministic step has none. */
  readonly noises?: readonly (NdArray<'float32'> | undefined)[];
  /** `[B, F, H, W, C]` float32 in [-1, 1]. */
  readonly videos: NdArray<'float32'>;
}

/**
 * Generates with the parameters that are on the device at that moment.
 *
 * @throws the reason of `signal` at the step after it was aborted.
 */
export type Generator = (policy: ResidentTree, request: GenerateRequest, signal?: AbortSignal) => Promise<Trajectories>;

const column = (n: number, value: number): NdArray<'float32'> => ndarray('float32', [n], new Float32Array(n).fill(value));

/** Builds the generator of an environment on a device. */
export function createGenerator(
  environment: Environment,
  device: Device,
  layout: PolicyPacking,
  density: Density,
  guidanceScale: number,
): Generator {
  const {policy, latentShape} = environment;
  const vectorsIn = (inputs: Branch<tf.Tensor>): PolicyVectors<tf.Tensor> =>
    inputs['policy'] as unknown as PolicyVectors<tf.Tensor>;
  const encode = textEncoder(environment, device, layout);
  const predictFrom = (inputs: Branch<tf.Tensor>): tf.Tensor => {
    const {latent, time, scale, text} = inputs as Record<string, tf.Tensor>;
    // Only the text of "no prompt" needs the text tower.
    const params = (guidanceScale === 1 ? networkTensors : policyTensors)(vectorsIn(inputs), layout);
    return predict(policy, params, {latent, time, scale, text}, guidanceScale);
  };
  const act: Jitted = device.jit('rollout/step', (inputs) => {
    const {latent, a, b, std, noise} = inputs as Record<string, tf.Tensor>;
    const {next, logProb} = step({latent, x0: predictFrom(inputs), a, b, std, noise}, density);
    return {next, logProb};
  });
  // Deterministic steps need neither noise nor score.
  const walk: Jitted = device.jit('rollout/deterministicStep', (inputs) => {
    const {latent, a, b} = inputs as Record<string, tf.Tensor>;
    return {next: meanOf({latent, x0: predictFrom(inputs), a, b})};
  });

  const draw = (
    request: GenerateRequest,
    prompts: readonly Prompt[],
    sampleOf: (row: number) => number,
    stepIndex: number,
  ): NdArray<'float32'> => {
    const size = sizeOf(latentShape);
    const data = new Float32Array(prompts.length * size);
    prompts.forEach((prompt, row) => {
      const key = {
        seed: request.seed,
        purpose: request.purpose,
        iteration: request.iteration,
        prompt: prompt.id,
        sample: sampleOf(row),
        step: stepIndex,
      };
      normals(key, data.subarray(row * size, (row + 1) * size));
    });
    return ndarray('float32', [prompts.length, ...latentShape], data);
  };

  return async (resident, request, signal) => {
    const {table, samples} = request;
    const text = await encode(
      resident,
      request.prompts.map((p) => p.text),
    );
    const all = request.prompts.flatMap((prompt) => Array.from({length: samples}, () => prompt));
    const rowOf = request.prompts.flatMap((_, i) => Array.from({length: samples}, () => i));
    const firstNoisy = request.sharedStart ? table.findIndex((row) => row.std > 0) : 0;
    const shared = firstNoisy < 0 ? table.length : firstNoisy;

    const latents: NdArray<'float32'>[] = [];
    const logProbs: Float32Array[] = [];
    const noises: (NdArray<'float32'> | undefined)[] | undefined = request.keepNoise === true ? [] : undefined;
    // Noise index 0 is the initial latent, k + 1 the noise of step k.
    let latent = request.sharedStart ? draw(request, request.prompts, () => 0, 0) : draw(request, all, (row) => row % samples, 0);
    let spread = !request.sharedStart;
    for (const [k, row] of table.entries()) {
      signal?.throwIfAborted();
      if (!spread && k === shared) {
        latent = take(latent, rowOf);
        spread = true;
      }
      const n = latent.shape[0];
      const inputs: Record<string, NdArray | ResidentTree> = {
        policy: resident,
        latent,
        text: spread ? take(text, rowOf) : text,
        ...Object.fromEntries((['time', 'scale', 'a', 'b'] as const).map((key) => [key, column(n, row[key])])),
      };
      latents.push(spread ? latent : take(latent, rowOf));
      const noise = row.std > 0 ? draw(request, all, (i) => i % samples, k + 1) : undefined;
      const {outputs} = noise ? await act({...inputs, std: column(n, row.std), noise}) : await walk(inputs);
      noises?.push(noise);
      const {next, logProb} = outputs as Params & {next: NdArray<'float32'>; logProb?: NdArray<'float32'>};
      logProbs.push(logProb?.data ?? new Float32Array(all.length));
      latent = next;
    }
    if (!spread) latent = take(latent, rowOf);
    latents.push(latent);
    assertFinite(latent, all);
    return {
      prompts: all,
      latents,
      logProbs,
      text,
      textRow: rowOf,
      table,
      ...(noises && {noises}),
      videos: environment.decode(latent),
    };
  };
}

function assertFinite(latent: NdArray<'float32'>, prompts: readonly Prompt[]): void {
  const bad = latent.data.findIndex((x) => !Number.isFinite(x));
  if (bad < 0) return;
  const row = Math.floor(bad / (latent.data.length / prompts.length));
  throw new NonFiniteError(
    `rollout: the latent of prompt "${prompts[row].text}" is not finite; the weights are damaged or the noise level is too high. Nothing was applied.`,
  );
}
