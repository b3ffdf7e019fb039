/**
 * Where in a trajectory the stochastic steps lie that are learnt from: consecutive ones, which move from iteration to iteration.
 * The others are deterministic and carry no gradient. The last step is never among them: it has no noise.
 */
import {permutation} from '../tensor/random.js';

/** Consecutive steps of a trajectory, counted from 0. */
export interface StepWindow {
  readonly start: number;
  readonly size: number;
}

/** The window of an iteration and batch of prompts, of trajectories of so many steps. */
export type WindowPlan = (iteration: number, batch: number, steps: number, seed: number) => StepWindow;

/** Which windows there are. */
export interface WindowRange {
  /** Steps of a window; ≥ 1. */
  readonly size: number;
  /** Share of the steps, from the first, that no window begins in; in [0, 1). */
  readonly from: number;
  /** Share of the steps beyond which no window begins; default 1: the last begins so that it ends before the last step. */
  readonly to?: number;
}

/** First and last step that a window may begin with; a range too narrow for any holds the one at its beginning. */
function placesOf({size, from, to = 1}: WindowRange, steps: number): {first: number; last: number} {
  const latest = Math.max(0, steps - 1 - size);
  const first = Math.min(Math.floor(from * steps), latest);
  return {first, last: Math.max(first, Math.min(latest, Math.ceil(to * steps) - 1))};
}

/**
 * A window at a random place, anew for each batch of prompts.
 *
 * @param purpose of the noise that the place is drawn from.
 */
export const randomWindow =
  (purpose: string, range: WindowRange): WindowPlan =>
  (iteration, batch, steps, seed) => {
    const {first, last} = placesOf(range, steps);
    const [place] = permutation({seed, purpose, iteration, sample: batch}, last - first + 1);
    return {start: first + place, size: range.size};
  };

/**
 * A window that begins at the first of its places and moves on by one step after every `dwell` iterations.
 *
 * @param atEnd what comes after the last place: `stay` there, or begin `again` with the first.
 * @source Li et al. 2025, "MixGRPO": the progressive strategy, without and with its return to the start.
 */
export const movingWindow =
  (range: WindowRange, dwell: number, atEnd: 'stay' | 'again'): WindowPlan =>
  (iteration, _batch, steps) => {
    const {first, last} = placesOf(range, steps);
    const moves = Math.floor(iteration / dwell);
    return {start: first + (atEnd === 'stay' ? Math.min(moves, last - first) : moves % (last - first + 1)), size: range.size};
  };
