/** A run's budget: iterations, minutes of learning, or both, whichever is used up first. */
import type {RunConfig} from '../run/runSchema.js';

type Budget = Pick<RunConfig, 'iterations' | 'minutes'>;

/** The share of a budget that is used up after so many iterations and seconds of learning; from 1 on the run is over. */
export const spentOf = ({iterations, minutes}: Budget, done: number, learnSeconds: number): number =>
  Math.max(iterations === undefined ? 0 : done / iterations, minutes === undefined ? 0 : learnSeconds / (minutes * 60));

/** How many iterations of so many seconds a run takes: one that has begun is finished, so the last may end after its minutes. */
export const iterationsIn = ({iterations = Infinity, minutes = Infinity}: Budget, secondsEach: number): number =>
  Math.min(iterations, Math.max(1, Math.ceil((minutes * 60) / secondsEach)));
