/** What a fine-tuning run says while it goes: for the command line, for a notebook, for a test. */
import type {Comparison} from '../evaluate/evaluate.js';
import type {RewardCard} from '../rewards/card.js';
import type {RunSummary} from '../run/summary.js';

/** The size of the work, known before it begins. */
export interface Geometry {
  readonly prompts: number;
  readonly samplesPerPrompt: number;
  readonly clips: number;
  /** Sampling steps of a rollout; 0 where clips of the world are learnt from and nothing is sampled. */
  readonly steps: number;
  /** Stochastic steps of a trajectory: those that are learnt from; 0 where rollouts have none. */
  readonly learntSteps: number;
  /** Predictions of one iteration that carry gradient: transitions that are learnt from, or what takes their place. */
  readonly transitions: number;
  readonly updates: number;
  readonly trainedParameters: number;
  /** Forward passes of one prediction: 2 with classifier-free guidance, in sampling and in learning. */
  readonly passes: 1 | 2;
  /** What is held in memory of trajectories: those of one iteration; of two, where rollouts overlap updates. */
  readonly trajectoryBytes: number;
}

/** What the run is expected to take, once the device has been measured on the first evaluation. */
export interface Estimate {
  readonly secondsPerIteration: number;
  /** Iterations that fit the budget. */
  readonly iterations: number;
  readonly memoryBytes: number;
}

/** One thing that happened. */
export type TuneEvent =
  | {readonly kind: 'reward'; readonly card: RewardCard}
  | {
      readonly kind: 'geometry';
      readonly geometry: Geometry;
      readonly folder: string;
      readonly device: string;
      readonly reward: string;
      readonly warning?: string;
    }
  | {readonly kind: 'evaluating'; readonly when: 'before' | 'during' | 'after'; readonly prompts: number}
  | {readonly kind: 'estimate'; readonly estimate: Estimate}
  | {readonly kind: 'resumed'; readonly iteration: number}
  | {
      readonly kind: 'iteration';
      readonly iteration: number;
      readonly metrics: Readonly<Record<string, number>>;
      readonly fraction: number;
    }
  | {readonly kind: 'alarm'; readonly iteration: number; readonly message: string}
  | {readonly kind: 'compared'; readonly iteration: number; readonly comparisons: readonly Comparison[]}
  | {readonly kind: 'ended'; readonly summary: RunSummary; readonly comparisons: readonly Comparison[]};
