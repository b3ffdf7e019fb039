/** Scored trajectories as a list of transitions to learn from, and any of them as arrays. */
import type {Scored, TransitionBatch} from '../algorithm.js';
import type {Transition} from '../numeric/samplers/sampler.js';
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

/** Where every trajectory arrived, for {@link gatherLatents}: its finished clip. */
export const finishedClips = (scored: readonly Scored[]): TransitionRef[] =>
  lastTransitions(scored).map((last) => ({...last, step: last.step + 1}));

type Row = [array: NdArray<'float32'>, row: number];

/** Rows of several arrays, one after the other: `[n, …shape]`. */
function copyRows(shape: readonly number[], rows: readonly Row[]): NdArray<'float32'> {
  const size = sizeOf(shape);
  const data = new Float32Array(rows.length * size);
  rows.forEach(([array, row], i) => data.set(array.data.subarray(row * size, (row + 1) * size), i * size));
  return ndarray('float32', [rows.length, ...shape], data);
}

const trajectoriesOf = (scored: readonly Scored[], ref: TransitionRef): Scored['trajectories'] => scored[ref.batch].trajectories;

/** `n` latents, each of the step `after` steps behind its transition's. */
function latentsOf(scored: readonly Scored[], refs: readonly TransitionRef[], after: 0 | 1): NdArray<'float32'> {
  const shape = scored[0].trajectories.latents[0].shape.slice(1);
  return copyRows(
    shape,
    refs.map((ref) => [trajectoriesOf(scored, ref).latents[ref.step + after], ref.row]),
  );
}

/** The noise of each transition; all of them are noisy. */
const noisesOf = (scored: readonly Scored[], refs: readonly TransitionRef[]): NdArray<'float32'> =>
  copyRows(
    scored[0].trajectories.latents[0].shape.slice(1),
    refs.map((ref) => [trajectoriesOf(scored, ref).noises![ref.step]!, ref.row]),
  );

/**
 * Gathers latents and text states: `latent` and `text` `[n, …]`. A reference whose step is the number of steps means the clean latent
 * at the end.
 */
export const gatherLatents = (scored: readonly Scored[], refs: readonly TransitionRef[]): TransitionBatch => ({
  latent: latentsOf(scored, refs, 0),
  text: copyRows(
    scored[0].trajectories.text.shape.slice(1),
    refs.map((ref) => [trajectoriesOf(scored, ref).text, trajectoriesOf(scored, ref).textRow[ref.row]]),
  ),
});

/** What the policy is asked at each transition: `latent`, `text`, `time`, `scale`. */
function questionsOf(scored: readonly Scored[], refs: readonly TransitionRef[]): TransitionBatch {
  const rowOf = (ref: TransitionRef): Transition => trajectoriesOf(scored, ref).table[ref.step];
  return {
    ...gatherLatents(scored, refs),
    time: float32(refs.map((ref) => rowOf(ref).time)),
    scale: float32(refs.map((ref) => rowOf(ref).scale)),
  };
}

/**
 * Gathers transitions `[n, …]`: `latent`, `next`, `text`, `time`, `scale`, `a`, `b`, `std`, `oldLogProb`, `advantage`, `weight`, and
 * `noise` if the trajectories kept it.
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
  const numbers = (of: (ref: TransitionRef) => number): NdArray<'float32'> => float32(refs.map(of));
  const rowOf = (ref: TransitionRef): Transition => trajectoriesOf(scored, ref).table[ref.step];
  return {
    ...questionsOf(scored, refs),
    next: latentsOf(scored, refs, 1),
    a: numbers((ref) => rowOf(ref).a),
    b: numbers((ref) => rowOf(ref).b),
    std: numbers((ref) => rowOf(ref).std),
    oldLogProb: numbers((ref) => trajectoriesOf(scored, ref).logProbs[ref.step][ref.row]),
    advantage: numbers((ref) => advantages[ref.batch][ref.row]),
    weight: numbers(weightOf),
    ...(scored[0].trajectories.noises && {noise: noisesOf(scored, refs)}),
  };
}

/** Gathers what the policy was asked, without what it did: `latent`, `text`, `time`, `scale`, and one `weight` for all. */
export const gatherStates = (scored: readonly Scored[], refs: readonly TransitionRef[], weight: number): TransitionBatch => ({
  ...questionsOf(scored, refs),
  weight: float32(refs.map(() => weight)),
});

/** Splits a list into parts of at most `size`. */
export const chunks = <T>(list: readonly T[], size: number): T[][] =>
  Array.from({length: Math.ceil(list.length / size)}, (_, i) => list.slice(i * size, (i + 1) * size));
