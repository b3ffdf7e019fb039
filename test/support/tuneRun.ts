/** Runs of `tune` in the tests. */
import type {Algorithm} from '../../src/algorithm.js';
import type {Reward} from '../../src/reward.js';
import type {RunSummary} from '../../src/run/summary.js';
import {optionsOf, type TuneConfig} from '../../src/tune/schema.js';
import {tune, type TuneParts} from '../../src/tune/tune.js';

/** What a test has to say of its run. */
export interface TuneRun
  extends
    Pick<TuneParts, 'folder' | 'environment' | 'device' | 'params'>,
    Partial<Pick<TuneParts, 'resume' | 'signal' | 'report'>> {
  readonly config: TuneConfig;
  readonly algorithm: Algorithm;
  readonly reward: Reward;
  /** Ctrl-C while this iteration is reported. */
  readonly stopAfter?: number | undefined;
}

/** Runs without a judge; the device stays open. */
export function tuneRun({config, algorithm, stopAfter, resume = false, signal, report, ...parts}: TuneRun): Promise<RunSummary> {
  const stop = new AbortController();
  return tune({
    ...parts,
    config,
    algorithm: algorithm.configure(optionsOf(algorithm, config), config),
    rewardGradient: algorithm.needs.differentiableReward,
    judge: undefined,
    resume,
    signal: signal ?? stop.signal,
    report: (event) => {
      report?.(event);
      if (event.kind === 'iteration' && event.iteration === stopAfter) stop.abort();
    },
  });
}
