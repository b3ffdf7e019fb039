/** How pre-training proceeds: which examples an update sees, at which noise, at which rate. Pure functions of the update's number. */
import {emaDecayAt} from '../numeric/optim/ema.js';

/** The length of a pre-training run and its rates. */
export interface PretrainPlan {
  /** Single-tubelet stills seen in the first stage. */
  readonly stills: number;
  /** Clips seen in the second stage. */
  readonly clips: number;
  /** Stills and clips of one update. */
  readonly stillBatch: number;
  readonly clipBatch: number;
  /** Peak learning rate of Muon, and of AdamW. */
  readonly muonRate: number;
  readonly adamRate: number;
  /** Limit of the average's decay. */
  readonly averageDecay: number;
  /** Share of captions withheld. */
  readonly captionDrop: number;
}

/** A still costs about a quarter of a clip: a quarter of the tokens, a sixteenth of the attention. */
const STILL_COST = 0.25;
const WARM_UP_UPDATES = 150;
/** Share of the cost after which the rate falls, and the share of the peak that is left in the end. */
const DECAY_FROM = 0.62;
const FINAL_RATE = 0.02;
/** Mean of the logit of t: in stills; in clips at the start and at the end of the run. Structure first, detail later. */
const STILL_LOGIT = 0.6;
const CLIP_LOGIT = [1, 0.5] as const;

/** One update: what it sees and how far it steps. */
export interface UpdatePlan {
  readonly stills: boolean;
  /** First index of its examples in the stream, and their number. */
  readonly first: number;
  readonly count: number;
  /** Mean of the normal whose sigmoid is t. */
  readonly logitMean: number;
  /** Share of the peak learning rate. */
  readonly rate: number;
  readonly averageDecay: number;
  /** Share of the whole run's cost that lies before it. */
  readonly progress: number;
}

/** Updates of the whole run. */
export const updatesOf = (plan: PretrainPlan): number =>
  Math.ceil(plan.stills / plan.stillBatch) + Math.ceil(plan.clips / plan.clipBatch);

/**
 * Share of the peak learning rate at update `n`, counted from 0: a linear warm-up, a plateau, a linear descent.
 *
 * @param progress share of the run that lies before it.
 */
export function rateShare(n: number, progress: number): number {
  const decay = progress < DECAY_FROM ? 1 : Math.max(FINAL_RATE, (1 - progress) / (1 - DECAY_FROM));
  return Math.min(1, (n + 1) / WARM_UP_UPDATES) * decay;
}

/** The plan of update `n`, counted from 0. */
export function updatePlan(plan: PretrainPlan, n: number): UpdatePlan {
  const stillUpdates = Math.ceil(plan.stills / plan.stillBatch);
  const stills = n < stillUpdates;
  const stillsSeen = Math.min(n, stillUpdates) * plan.stillBatch;
  const clipsSeen = Math.max(0, n - stillUpdates) * plan.clipBatch;
  const cost = (s: number, c: number): number => s * STILL_COST + c;
  const progress =
    cost(stillsSeen, clipsSeen) / cost(stillUpdates * plan.stillBatch, (updatesOf(plan) - stillUpdates) * plan.clipBatch);
  return {
    stills,
    first: stillsSeen + clipsSeen,
    count: stills ? plan.stillBatch : plan.clipBatch,
    logitMean: stills ? STILL_LOGIT : CLIP_LOGIT[0] + (CLIP_LOGIT[1] - CLIP_LOGIT[0]) * progress,
    rate: rateShare(n, progress),
    averageDecay: emaDecayAt(n + 1, plan.averageDecay),
    progress,
  };
}
