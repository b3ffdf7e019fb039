/** Noise and times for clean latents that are to be noised anew: what algorithms that learn from finished clips share. */
import type {Scored} from '../algorithm.js';
import {float32, ndarray, sizeOf, type NdArray} from '../tensor/ndarray.js';
import {normals, type NoiseKey} from '../tensor/random.js';
import type {Params} from '../tensor/tree.js';
import {gatherLatents, type TransitionRef} from './transitions.js';

/** The law of the times: ln(t/(1 − t)) is normal. */
export interface TimeLaw {
  readonly timeMean: number;
  readonly timeDeviation: number;
}

/** What is noised, and which time. */
export interface NoisedDraw {
  /** Number of the clip, or of the pair, in the iteration. */
  readonly item: number;
  /** Number of the draw, over all passes. */
  readonly draw: number;
}

/** The smallest time, one of 1000: the velocity has no value at 0. */
const MINIMUM_TIME = 1e-3;

/**
 * A noise and a time for each draw.
 *
 * @param shape of one latent.
 * @param key of the noise that both are drawn from: `name` begins its purposes.
 * @returns `noise` `[n, …shape]` standard normal, `time` `[n]` in [.001, 1).
 * @source Esser et al. 2024, "Scaling rectified flow transformers", arXiv:2403.03206, eq. 19: logit-normal times.
 */
export function noiseAndTimes(
  draws: readonly NoisedDraw[],
  shape: readonly number[],
  {name, ...key}: {readonly name: string; readonly seed: number; readonly iteration: number},
  {timeMean, timeDeviation}: TimeLaw,
): {noise: NdArray<'float32'>; time: NdArray<'float32'>} {
  const keyOf = (purpose: string, {item, draw}: NoisedDraw): NoiseKey => ({
    ...key,
    purpose: `${name}${purpose}`,
    sample: item,
    step: draw,
  });
  const size = sizeOf(shape);
  const noise = new Float32Array(draws.length * size);
  draws.forEach((draw, i) => normals(keyOf('Noise', draw), noise.subarray(i * size, (i + 1) * size)));
  const times = draws.map((draw) => {
    const [z] = normals(keyOf('Time', draw), new Float32Array(1));
    return Math.max(MINIMUM_TIME, 1 / (1 + Math.exp(-(timeMean + timeDeviation * z))));
  });
  return {noise: ndarray('float32', [draws.length, ...shape], noise), time: float32(times)};
}

/**
 * Clean latents noised, each to a time of its own: (1 − t)·x0 + t·ε.
 *
 * @param clean `[n, …]` x0.
 * @param times t of each row, in [0, 1].
 * @param keyOf of the noise of a row.
 * @returns `[n, …]`.
 */
export function noisedRows(
  clean: NdArray<'float32'>,
  times: readonly number[],
  keyOf: (row: number) => NoiseKey,
): NdArray<'float32'> {
  const data = new Float32Array(clean.data.length);
  const size = data.length / times.length;
  times.forEach((time, i) => {
    const row = data.subarray(i * size, (i + 1) * size);
    normals(keyOf(i), row);
    for (let j = 0; j < size; j++) row[j] = (1 - time) * clean.data[i * size + j] + time * row[j];
  });
  return ndarray('float32', clean.shape, data);
}

/** A finished clip that is to be noised. */
export interface NoisedClip extends NoisedDraw {
  readonly ref: TransitionRef;
}

/**
 * Finished clips with a noise and a time each, as a batch of a loss.
 *
 * @param key as of {@link noiseAndTimes}.
 * @returns `clean` and `noise` `[n, …latentShape]`, `text` `[n, L, D]`, `time` and `scale` `[n]`.
 */
export function noisedClips(
  collected: readonly Scored[],
  draws: readonly NoisedClip[],
  key: {readonly name: string; readonly seed: number; readonly iteration: number},
  law: TimeLaw,
): Params {
  const {latent: clean, text} = gatherLatents(
    collected,
    draws.map(({ref}) => ref),
  );
  return {
    clean,
    text,
    ...noiseAndTimes(draws, (clean as NdArray).shape.slice(1), key, law),
    scale: float32(draws.map(() => 1)),
  };
}
