/** Opens what a run needs by the names in its configuration, runs it, and closes everything again. */
import {algorithms, environments, rewards} from '../builtins.js';
import type {Environment, Judge} from '../environment.js';
import {openDevice} from '../engine/devices.js';
import {ConfigError} from '../errors.js';
import type {RunFolder} from '../run/runFolder.js';
import {noteResume, runInfo, writeRunInfo} from '../run/runInfo.js';
import type {RunSummary} from '../run/summary.js';
import {listCheckpoints} from '../run/checkpoint.js';
import {readWeights} from '../run/weights.js';
import type {TuneEvent} from './events.js';
import {optionsOf, type TuneConfig} from './schema.js';
import {tune} from './tune.js';

/** Threads that judge clips while the device waits. */
const JUDGE_THREADS = 2;

/** What to run and where. */
export interface TuneRequest {
  readonly config: TuneConfig;
  readonly folder: RunFolder;
  /** Take up the run that is in the folder. */
  readonly resume: boolean;
  readonly signal: AbortSignal;
  /** The words of the command line, for run.json. */
  readonly command: readonly string[];
  readonly report: (event: TuneEvent) => void;
}

/**
 * The weights that a configuration names.
 *
 * @throws ConfigError if the preset ships none.
 */
export function weightsOf(environment: Environment, policy: string): string | URL {
  if (policy !== 'shipped') return policy;
  if (environment.weights) return environment.weights;
  throw new ConfigError(`policy: wanted a weights file; ${environment.name} ${environment.preset} ships none. Make one with rlft pretrain.`);
}

/** Runs a fine-tuning run from its configuration. */
export async function runTuning({config, folder, resume, signal, command, report}: TuneRequest): Promise<RunSummary> {
  const environment = environments.get(config.environment).open(config.preset);
  const algorithm = algorithms.get(config.algorithm);
  const module = rewards.get(config.reward);
  const weights = weightsOf(environment, config.policy);
  const {params} = await readWeights(weights);
  let judge: Judge | undefined;
  const openJudge = (): Judge => {
    judge ??= environment.openJudge?.(JUDGE_THREADS);
    if (!judge) throw new ConfigError(`reward "${config.reward}": the environment ${environment.name} has no judge.`);
    return judge;
  };
  const reward = await module.open({environment, judge: openJudge});
  if (algorithm.needs.differentiableReward && !reward.differentiable) {
    throw new ConfigError(`algorithm "${algorithm.name}" needs a differentiable reward; "${reward.name}" is not.`);
  }
  const device = await openDevice(config.device, config.threads === 0 ? {} : {threads: config.threads});
  try {
    if (resume) await noteResume(folder.info, (await listCheckpoints(folder.checkpoints))[0]?.iteration ?? 0);
    else await writeRunInfo(folder.info, await runInfo(command, config.seed, [weights]));
    return await tune({
      config,
      folder,
      environment,
      algorithm: algorithm.configure(optionsOf(algorithm, config) as never),
      reward,
      judge: environment.openJudge ? openJudge() : undefined,
      device,
      params,
      resume,
      signal,
      report,
      warning: `reward "${module.name}": ${module.summary}`,
    });
  } finally {
    await device.close();
    await judge?.close();
    await reward.close?.();
  }
}
