/** What `learn` is for algorithms that look at a whole iteration before they learn from any of it. */
import {from, lastValueFrom, toArray} from 'rxjs';
import type {ConfiguredAlgorithm, LearnContext, Scored, TrainState} from '../algorithm.js';

/** Waits for all of an iteration's scored trajectories. */
export const learnWhole =
  (
    learnFrom: (collected: readonly Scored[], state: TrainState, context: LearnContext) => Promise<TrainState>,
  ): ConfiguredAlgorithm['learn'] =>
  (scored$, state, context) =>
    from(lastValueFrom(scored$.pipe(toArray())).then((all) => learnFrom(all, state, context)));
