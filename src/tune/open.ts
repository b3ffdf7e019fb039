/** Opens what a run needs by the names in its configuration, runs it, and closes everything again. */
import {existsSync} from 'node:fs';
import type {Algorithm} from '../algorithm.js';
import {algorithms, environments, rewards} from '../builtins.js';
import type {Environment} from '../environment.js';
import {openDevice} from '../engine/devices.js';
import {ConfigError} from '../errors.js';
import type {Reward, RewardModule} from '../reward.js';
import {rewardCard} from '../rewards/card.js';
import {resolveReward} from '../rewards/resolveReward.js';
import type {RunFolder} from '../run/runFolder.js';
import {noteResume, runInfo, writeRunInfo} from '../run/runInfo.js';
import type {RunSummary} from '../run/summary.js';
import {listCheckpoints} from '../run/checkpoint.js';
import type {Params} from '../tensor/tree.js';
import type {TuneEvent} from './events.js';
import {readPolicy} from './policyWeights.js';
import {rewardContext} from './rewardContext.js';
import {optionsOf, type TuneConfig} from './schema.js';
import {tune, type TuneParts} from './tune.js';
import {openIndependent} from './yardstick.js';

/** What to run and where. */
export interface TuneRequest {
  /** From `tuneConfig`, or from a file by `resolveConfig`. */
  readonly config: TuneConfig;
  readonly folder: RunFolder;
  /** Take up the run that is in the folder. Default false. */
  readonly resume?: boolean;
  /** Ends the run after the iteration under way; the state is saved. Default: nothing does. */
  readonly signal?: AbortSignal;
  /** The words of the command line, for run.json. Default none. */
  readonly command?: readonly string[];
  /** Told what happens. Default: nobody is. */
  readonly report?: (event: TuneEvent) => void;
  /** Plug-ins of one's own, in place of the built-in ones of the configuration's names; each must have the name that it says. */
  readonly algorithm?: Algorithm;
  readonly environment?: Environment;
  readonly reward?: RewardModule;
  /** Weights to start from, in place of the file that `config.policy` names. */
  readonly params?: Params;
}

/** A plug-in that was given has the name that will stand in config.yaml. */
function named<T extends {readonly name: string}>(key: string, given: T, name: string): T {
  if (given.name === name) return given;
  throw new ConfigError(
    `${key}: the configuration says "${name}"; the plug-in given is "${given.name}". Write ${key}: "${given.name}" in the configuration.`,
  );
}

/** What a run needs besides its folder, open. */
export type OpenRun = Pick<
  TuneParts,
  'config' | 'environment' | 'algorithm' | 'reward' | 'rewardGradient' | 'judge' | 'device' | 'params' | 'paramsGiven'
> & {
  readonly warning: string;
  /** Files of weights that were read. */
  readonly weights: readonly (string | URL)[];
};

/**
 * Opens what a configuration names, hands it over, and closes it again.
 *
 * @throws ConfigError if a name of the configuration is unknown or does not fit the plug-in given for it, before anything is
 * computed.
 */
export async function withOpenRun<T>(
  request: Pick<TuneRequest, 'config' | 'algorithm' | 'environment' | 'reward' | 'params'>,
  use: (open: OpenRun) => Promise<T>,
): Promise<T> {
  const {config} = request;
  const environment = request.environment
    ? named('environment', request.environment, config.environment)
    : environments.get(config.environment).open(config.preset);
  const algorithm = request.algorithm
    ? named('algorithm', request.algorithm, config.algorithm)
    : algorithms.get(config.algorithm);
  const configured = algorithm.configure(optionsOf(algorithm, config), config);
  const module = request.reward
    ? named('reward', request.reward, config.reward)
    : await resolveReward(config.reward, rewards, config.rewards);
  const {params, files} = request.params ? {params: request.params, files: []} : await readPolicy(environment, config.policy);
  const device = await openDevice(config.device, {threads: config.threads});
  const opened = rewardContext(environment, device, config);
  let reward: Reward | undefined;
  try {
    reward = await module.open(opened.context);
    opened.checkUsed();
    if (algorithm.needs.differentiableReward && !reward.differentiable) {
      throw new ConfigError(`algorithm "${algorithm.name}" needs a differentiable reward; "${plainPartOf(reward).name}" is not.`);
    }
    configured.checkReward?.(reward);
    if (algorithm.needs.differentiableReward && !environment.decodeInGraph) {
      throw new ConfigError(
        `algorithm "${algorithm.name}" needs a world that decodes inside the graph; ${environment.name} does not (decodeInGraph).`,
      );
    }
    return await use({
      config,
      environment,
      algorithm: configured,
      reward,
      rewardGradient: algorithm.needs.differentiableReward,
      judge: opened.judge(),
      device,
      params,
      paramsGiven: request.params !== undefined,
      warning: configured.clips
        ? `${algorithm.name} learns from clips of the world: reward "${module.name}" is only measured, before and after, and never optimised`
        : `reward "${module.name}": ${module.summary}`,
      weights: files,
    });
  } finally {
    await reward?.close?.();
    await opened.close();
    await device.close();
  }
}

/**
 * Runs a fine-tuning run from its configuration.
 *
 * @throws as `withOpenRun`.
 */
export function runTuning(request: TuneRequest): Promise<RunSummary> {
  const {folder, resume = false, signal = new AbortController().signal, command = [], report = () => undefined} = request;
  return withOpenRun(request, async ({weights, ...open}) => {
    report({kind: 'reward', card: await rewardCard(open.reward, open.environment)});
    // A run that was killed while it started may have no run.json yet.
    if (resume && existsSync(folder.info))
      await noteResume(folder.info, (await listCheckpoints(folder.checkpoints))[0]?.iteration ?? 0);
    else await writeRunInfo(folder.info, await runInfo(command, open.config.seed, weights));
    const independent = await openIndependent(open.environment, open.device);
    try {
      return await tune({...open, independent, folder, resume, signal, report});
    } finally {
      await independent?.close?.();
    }
  });
}

/** The part of a composed reward that has no differentiable form. */
const plainPartOf = (reward: Reward): Reward => reward.parts?.find(({differentiable}) => !differentiable) ?? reward;
