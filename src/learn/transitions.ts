/** Scored trajectories as a list of transitions to learn from, and any of them as arrays. */
import type {Scored, TransitionBatch} from '../algorithm.js';
import {float32, ndarray, sizeOf, type NdArray} from '../tensor/ndarray.js';

/** One step of one trajectory. */
export interface TransitionRef {
  /** Which of the scored batches. */
  readonly batch: number;
  /** Trajectory within the batch. */
  readonly row: number;
  /** Step in acting order. */
  readonly step: number;
}

/** Every stochastic step of every trajectory: those with a density to learn from. */
export const stochasticTransitions = (scored: readonly Scored[]): TransitionRef[] =>
  scored.flatMap(({trajectories}, batch) =>
    trajectories.prompts.flatMap((_, row) => trajectories.table.flatMap(({std}, step) => (std > 0 ? [{batch, row, step}] : []))),
  );

/** The last step of every trajectory, which arrives at the video without noise: no density, so no reward reaches it. */
export const lastTransitions = (scored: readonly Scored[]): TransitionRef[] =>
  scored.flatMap(({trajectories}, batch) =>
    trajectories.prompts.map((_, row) => ({batch, row, step: trajectories.table.length - 1})),
  );

/**
 * Gathers transitions `[n, …]`: `latent`, `next`, `text`, `time`, `scale`, `a`, `b`, `std`, `oldLogProb`, `advantage`, `weight`.
 *
 * @param advantages one for each trajectory of each batch.
 * @param weightOf weight of a transition in the loss; 1 unless an algorithm says otherwise.
 */
export function gatherTransitions(
  scored: readonly Scored[],
  refs: readonly TransitionRef[],
  advantages: readonly ArrayLike<number>[],
  weightOf: (ref: TransitionRef) => number = () => 1,
): TransitionBatch {
  const first = scored[0].trajectories;
  const latentShape = first.latents[0].shape.slice(1);
  const textShape = first.text.shape.slice(1);
  const copyRows = (
    shape: readonly number[],
    source: (ref: TransitionRef) => [NdArray<'float32'>, number],
  ): NdArray<'float32'> => {
    const size = sizeOf(shape);
    const data = new Float32Array(refs.length * size);
    refs.forEach((ref, i) => {
      const [array, row] = source(ref);
      data.set(array.data.subarray(row * size, (row + 1) * size), i * size);
    });
    return ndarray('float32', [refs.length, ...shape], data);
  };
  const numbers = (of: (ref: TransitionRef) => number): NdArray<'float32'> => float32(refs.map(of));
  const trajectories = (ref: TransitionRef): Scored['trajectories'] => scored[ref.batch].trajectories;
  const row = (ref: TransitionRef): Scored['trajectories']['table'][number] => trajectories(ref).table[ref.step];
  return {
    latent: copyRows(latentShape, (ref) => [trajectories(ref).latents[ref.step], ref.row]),
    next: copyRows(latentShape, (ref) => [trajectories(ref).latents[ref.step + 1], ref.row]),
    text: copyRows(textShape, (ref) => [trajectories(ref).text, trajectories(ref).textRow[ref.row]]),
    time: numbers((ref) => row(ref).time),
    scale: numbers((ref) => row(ref).scale),
    a: numbers((ref) => row(ref).a),
    b: numbers((ref) => row(ref).b),
    std: numbers((ref) => row(ref).std),
    oldLogProb: numbers((ref) => trajectories(ref).logProbs[ref.step][ref.row]),
    advantage: numbers((ref) => advantages[ref.batch][ref.row]),
    weight: numbers(weightOf),
  };
}

/** Splits a list into parts of at most `size`. */
export const chunks = <T>(list: readonly T[], size: number): T[][] =>
  Array.from({length: Math.ceil(list.length / size)}, (_, i) => list.slice(i * size, (i + 1) * size));
