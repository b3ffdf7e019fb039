/** The loop of every training from nothing: update, note the metrics, measure and save at intervals, and end in a state that goes on. */
import {loadForResume, removeDrafts, saveCheckpoint, type Json} from '../run/checkpoint.js';
import {openMetrics, type Metrics} from '../run/metrics.js';
import type {RunFolder} from '../run/runFolder.js';
import type {Params} from '../tensor/tree.js';

/** A trainer between two updates, whatever it trains. */
export interface Trainer<Progress> {
  readonly totalUpdates: number;
  update(): Promise<Progress>;
  /** Everything a checkpoint needs. */
  state(): Promise<Params>;
  close(): Promise<void>;
}

/** Where a trainer starts: at update 0, or after those of a checkpoint. */
export interface TrainingStart {
  readonly updates?: number;
  readonly state?: Params;
}

/** A training and what is done beside it. */
export interface Training<Progress, T extends Trainer<Progress>> {
  readonly folder: RunFolder;
  readonly resume: boolean;
  readonly signal: AbortSignal;
  open(start: TrainingStart): Promise<T>;
  /** Told once, before the first update. */
  started(totalUpdates: number, updates: number): void;
  /** Told after every update; returns the row of the metrics. */
  updated(progress: Progress): Metrics;
  /** Examples seen so far; a measurement follows whenever they pass a multiple of `every`, and the last update. */
  seen(progress: Progress): number;
  readonly every: number;
  /** Called right after the state was saved. */
  measure(trainer: T, progress: Progress): Promise<void>;
}

/**
 * Runs a training until it is done or the signal aborts; state is saved either way.
 *
 * @returns updates done.
 */
export async function trainInFolder<Progress extends {readonly updates: number}, T extends Trainer<Progress>>(
  training: Training<Progress, T>,
): Promise<number> {
  const {folder, signal} = training;
  const restored = training.resume ? await loadForResume(folder.checkpoints) : undefined;
  let updates = restored?.iteration ?? 0;
  const trainer = await training.open(restored ? {updates, state: restored.state} : {});
  const metrics = await openMetrics(folder.metrics, updates);
  if (restored) await removeDrafts(folder.checkpoints);
  training.started(trainer.totalUpdates, updates);
  // Which multiple of `every` was measured last: it stands in the checkpoint, since a trainer cannot tell what it has seen.
  let measuredAt = measuredIn(restored?.meta);
  const save = async (): Promise<void> => {
    await metrics.sync();
    const meta = {measuredAt: measuredAt ?? 0};
    await saveCheckpoint(folder.checkpoints, updates, {state: await trainer.state(), meta}, 2);
  };
  try {
    while (updates < trainer.totalUpdates && !signal.aborted) {
      const progress = await trainer.update();
      updates = progress.updates;
      await metrics.append(updates, training.updated(progress));
      const seen = training.seen(progress);
      const mark = Math.floor(seen / training.every);
      measuredAt ??= mark;
      if (seen > 0 && (mark > measuredAt || updates === trainer.totalUpdates)) {
        measuredAt = mark;
        await save();
        await training.measure(trainer, progress);
      }
    }
    await save();
    return updates;
  } finally {
    await metrics.close();
    await trainer.close();
  }
}

/** What a checkpoint says was measured: 0 for a new run, undefined for a checkpoint that does not say. */
function measuredIn(meta: Json | undefined): number | undefined {
  if (meta === undefined) return 0;
  const at = (meta as {readonly measuredAt?: Json} | null)?.measuredAt;
  return typeof at === 'number' ? at : undefined;
}
