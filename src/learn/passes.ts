/** The updates of an iteration of a clipped policy gradient: passes over (sample, step) pairs in minibatches, and the anchor. */
import type {Learner, Scored, TransitionBatch, UpdateReport} from '../algorithm.js';
import {shuffled, type NoiseKey} from '../tensor/random.js';
import {meanReports} from './reports.js';
import {chunks, gatherStates, type TransitionRef} from './transitions.js';

/** Share of the trajectories whose last step is held: the term is steady, and each of them costs as much as a step to learn from. */
export const ANCHOR_SHARE = 0.25;

/** What the passes go through and how. */
export interface PassPlan {
  readonly collected: readonly Scored[];
  readonly learner: Learner;
  /** Noisy steps to learn from. */
  readonly noisy: readonly TransitionRef[];
  /** Last steps of the trajectories, for the anchor. */
  readonly last: readonly TransitionRef[];
  /** Noisy steps as the loss takes them. */
  readonly gather: (refs: readonly TransitionRef[]) => TransitionBatch;
  /** Batches of an update besides its steps, whose losses say themselves how much they weigh. */
  readonly besides?: (update: PassUpdate) => Iterable<TransitionBatch>;
  /** Key of the noise that orders are drawn from: `name` begins its purposes. */
  readonly key: {readonly name: string; readonly seed: number; readonly iteration: number};
  readonly options: {
    readonly innerEpochs: number;
    readonly minibatches: number;
    readonly timestepFraction: number;
    readonly anchorCoefficient: number;
  };
}

/** One update of the passes. */
export interface PassUpdate {
  /** Its pass, from 0. */
  readonly epoch: number;
  /** Its number in the pass, and how many the pass has. */
  readonly index: number;
  readonly count: number;
  /** Noisy steps that it learns from: the learner divides the loss of all its batches by them. */
  readonly steps: number;
}

/**
 * Goes through the steps `innerEpochs` times, each time in another order and in `minibatches` updates. A loss that gets a batch
 * without `next` is asked for the anchor at last steps.
 *
 * @returns means over the updates of what the loss reports, and `gradientNorm`.
 */
export async function policyPasses({
  collected,
  learner,
  noisy,
  last,
  gather,
  besides,
  key,
  options,
}: PassPlan): Promise<Record<string, number>> {
  const {innerEpochs, minibatches, timestepFraction, anchorCoefficient} = options;
  const {name, seed, iteration} = key;
  const reports: UpdateReport[] = [];
  for (let epoch = 0; epoch < innerEpochs; epoch++) {
    const order = (purpose: string): NoiseKey => ({seed, purpose: `${name}${purpose}`, iteration, sample: epoch});
    const drawn = drawSteps(noisy, timestepFraction, order('Steps'));
    const parts = chunks(shuffled(drawn, order('Order')), Math.ceil(drawn.length / minibatches));
    const ends = anchorCoefficient > 0 ? shuffled(last, order('Anchors')) : [];
    const anchored = chunks(
      ends.slice(0, Math.ceil(ends.length * ANCHOR_SHARE)),
      Math.ceil((ends.length * ANCHOR_SHARE) / parts.length),
    );
    for (const [i, part] of parts.entries()) {
      const held = anchored[i] ?? [];
      const batches = (function* () {
        for (const micro of chunks(part, learner.microbatch)) yield gather(micro);
        // The learner divides by the noisy steps; this makes of the last steps a mean of their own.
        for (const micro of chunks(held, learner.microbatch)) yield gatherStates(collected, micro, part.length / held.length);
        if (besides) yield* besides({epoch, index: i, count: parts.length, steps: part.length});
      })();
      reports.push(await learner.update(batches, part.length));
    }
  }
  return meanReports(reports, innerEpochs * minibatches);
}

/** A random share of each trajectory's steps, at least one of each. */
function drawSteps(refs: readonly TransitionRef[], fraction: number, key: NoiseKey): TransitionRef[] {
  if (fraction === 1) return [...refs];
  const stepsOf = new Map<string, number>();
  for (const {batch, row} of refs) stepsOf.set(`${batch}/${row}`, (stepsOf.get(`${batch}/${row}`) ?? 0) + 1);
  const taken = new Map<string, number>();
  return shuffled(refs, key).filter(({batch, row}) => {
    const trajectory = `${batch}/${row}`;
    const n = (taken.get(trajectory) ?? 0) + 1;
    taken.set(trajectory, n);
    return n <= Math.max(1, Math.floor(stepsOf.get(trajectory)! * fraction));
  });
}
