/** `summary.json`: how a run ended, in a form that scripts read. It is written last, so a run that has it has ended. */
import {writeAtomically} from './writeAtomically.js';

/** A held-out metric before and after learning. */
export interface Evaluation {
  /** Which prompts: the split's name and their number, such as `heldOut/64`. */
  readonly suite: string;
  /** What was measured, such as `reward/mean` or `judge/quality`. */
  readonly metric: string;
  readonly before: number;
  readonly after: number;
  /** After minus before: mean over prompts, and its paired 95 % interval. */
  readonly difference: {readonly mean: number; readonly low: number; readonly high: number};
}

/** The content of summary.json. */
export interface RunSummary {
  /** `done`: the budget was used; `interrupted`: Ctrl-C, state saved; `failed`: `reason` says why. */
  readonly status: 'done' | 'interrupted' | 'failed';
  readonly reason?: string;
  readonly seed: number;
  readonly wallSeconds: number;
  /** Largest resident memory of the process so far. */
  readonly peakMemoryBytes: number;
  /** Iterations that were complete. */
  readonly iterations: number;
  /** The optimised reward on held-out prompts, or its first part if it is relative; null if the run did not get that far. */
  readonly evaluation: Evaluation | null;
  /** Everything else that was measured on the same videos. */
  readonly otherEvaluations: readonly Evaluation[];
}

/** Largest resident memory of this process so far, in bytes. */
export const peakMemoryBytes = (): number => process.resourceUsage().maxRSS * 1024;

/**
 * Writes summary.json.
 *
 * @throws RlftError if it cannot be written.
 */
export const writeSummary = (path: string, summary: RunSummary): Promise<void> =>
  writeAtomically(path, [`${JSON.stringify(summary, null, 2)}\n`]);
