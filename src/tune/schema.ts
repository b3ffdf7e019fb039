/** The configuration of `rlft run <algorithm>`. */
import {isDeepStrictEqual} from 'node:util';
import type {z} from 'zod';
import type {Algorithm} from '../algorithm.js';
import {ConfigError} from '../errors.js';
import {idleSchedule, peerNames, scheduleFault} from '../options.js';
import type {LoraOptions} from '../rollout/adapter.js';
import {describeKeys} from '../run/configKeys.js';
import {resolveConfig, type ResolvedConfig} from '../run/config.js';
import {runSchema, type RunConfig} from '../run/runSchema.js';

/** Where a run takes place unless it is told otherwise. */
const PLACE = {environment: 'fluentClips', preset: 'mini', reward: 'judge'} as const;

/** Keys of every run, and those of the algorithm. */
export type TuneConfig = RunConfig & Readonly<Record<string, unknown>>;

/** The schema of an algorithm's runs. */
export function tuneSchema(algorithm: Algorithm): z.ZodType<TuneConfig> {
  return runSchema({
    options: algorithm.options,
    defaults: {algorithm: algorithm.name, ...PLACE, ...algorithm.defaults},
    check: (config, complain) => {
      if (config.samplesPerPrompt < 2)
        complain('samplesPerPrompt', 'wanted at least 2: a sample is measured against the others of its prompt');
      const window = (config as Record<string, unknown>)['windowSize'];
      if (typeof window === 'number' && window >= config.samplingSteps) {
        complain('windowSize', `wanted fewer than the ${config.samplingSteps} samplingSteps; the last step has no noise`);
      }
      const kept = (config as Record<string, unknown>)['gradientSteps'];
      if (typeof kept === 'number' && kept > config.samplingSteps)
        complain('gradientSteps', `wanted at most the ${config.samplingSteps} samplingSteps`);
      const fault = scheduleFault(config);
      if (fault !== undefined) complain('scheduleUpdates', fault);
      if (config.overlapRollouts && algorithm.offPolicy !== true)
        complain('overlapRollouts', `wanted false: ${algorithm.name} does not learn from rollouts of an older policy`);
      if (config.sampler === 'ddim' && config.noiseLevel > 1)
        complain('noiseLevel', 'wanted at most 1 for ddim, whose noise level is η');
    },
  });
}

/** The algorithm's own options out of a whole configuration. */
export const optionsOf = (algorithm: Algorithm, config: TuneConfig): Record<string, unknown> =>
  Object.fromEntries(Object.keys(algorithm.options.shape).map((key) => [key, config[key]]));

/**
 * Refuses settings that somebody turned and that change nothing. A default that is written out turns nothing: the config.yaml of
 * a run, which holds them all, can be given again.
 *
 * @throws ConfigError naming the setting, where it was given and what would give it an effect.
 */
export function refuseIdle(algorithm: Algorithm, {value, origins}: ResolvedConfig<TuneConfig>): void {
  const defaults = new Map(describeKeys(tuneSchema(algorithm)).map((key) => [key.path, key.default]));
  for (const {key, reason} of [...(algorithm.idle?.(value) ?? []), ...idleOfFullTuning(value), ...idleSchedule(value)]) {
    const origin = origins.get(key) ?? [...origins].find(([path]) => path.startsWith(`${key}.`))?.[1];
    if (origin === undefined || isDeepStrictEqual(value[key], defaults.get(key))) continue;
    throw new ConfigError(`${origin} ${key}: has no effect in this run: ${reason}.`);
  }
}

/** An adapter's settings, where there is none. */
const idleOfFullTuning = ({tuning}: TuneConfig): {key: string; reason: string}[] =>
  tuning === 'lora' ? [] : ['loraRank', 'loraAlpha', 'loraTargets'].map((key) => ({key, reason: 'wanted tuning: lora'}));

/** The adapter that a run trains; undefined if it trains the whole network. */
export const loraOf = ({tuning, loraRank, loraAlpha, loraTargets, seed}: RunConfig): LoraOptions | undefined =>
  tuning === 'lora' ? {rank: loraRank, alpha: loraAlpha, targets: loraTargets, seed} : undefined;

/**
 * The configuration of a run from an object, every default filled in: what a library user gives to `runTuning`.
 *
 * @param settings keys of every run and of the algorithm, such as `{preset: 'mini', minutes: 2, evaluation: {prompts: 32}}`.
 * @throws ConfigError with one line for each fault, and for a setting that changes nothing in this run.
 * @example tuneConfig(ddpo, {iterations: 20, learningRate: 2e-4}).samplesPerPrompt // 8
 */
export function tuneConfig(algorithm: Algorithm, settings: Readonly<Record<string, unknown>> = {}): TuneConfig {
  // JSON is YAML: the object goes the way of a file, so that its faults are told in the same words.
  const resolved = resolveConfig(tuneSchema(algorithm), {file: {path: 'settings', text: JSON.stringify(settings)}}, peerNames);
  refuseIdle(algorithm, resolved);
  return resolved.value;
}
