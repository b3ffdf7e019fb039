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

/** What the reward-hacking monitor saw. */
export interface MonitorSummary {
  /** What is measured and never optimised, such as `judge/total`; null if there is nothing of the kind. */
  readonly yardstick: string | null;
  readonly looks: number;
  readonly alarms: readonly {readonly iteration: number; readonly figure: string; readonly message: string}[];
  /** The weights that the yardstick liked best, a file of the run's folder; null if there is none. */
  readonly best: {readonly iteration: number; readonly yardstick: number; readonly file: string} | null;
}

/** The content of summary.json. */
export interface RunSummary {
  /** `done`: the budget was used, or the monitor ended the run, as `reason` says; `interrupted`: Ctrl-C, state saved; `failed`: `reason` says why. */
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
  readonly monitor: MonitorSummary;
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
