/** What a reward may ask of the run it serves, each opened when it is first asked for. */
import type {Device} from '../engine/device.js';
import type {FrozenEncoder} from '../encoder.js';
import type {Environment, Judge} from '../environment.js';
import {ConfigError} from '../errors.js';
import type {RewardContext} from '../reward.js';
import {openFrozenEncoder, openTransportMap} from '../run/frozenEncoder.js';
import {openPreferenceModel} from '../run/preferenceModel.js';

/** Threads that judge clips while the device waits. */
const JUDGE_THREADS = 2;

/** What a reward is made of, as a configuration names it. */
export interface RewardSettings {
  readonly reward: string;
  readonly encoder: string;
  readonly transport: string;
  readonly preference: string;
}

/** The settings where nobody names anything. */
export const unturned = {encoder: 'shipped', transport: 'shipped', preference: 'none'} as const;

/** A context, and what became of it. */
export interface OpenContext {
  readonly context: RewardContext;
  /** The judge of the world, opened by this call if it was not; undefined if it has none. */
  judge(): Judge | undefined;
  /** @throws ConfigError if a setting was turned from its default that the reward, now open, has not asked for. */
  checkUsed(): void;
  close(): Promise<void>;
}

interface OnDemand<T> {
  /** Makes it at the first call, and gives the same again at every later one. */
  readonly get: () => Promise<T>;
  readonly asked: () => boolean;
}

function onDemand<T>(make: () => Promise<T>): OnDemand<T> {
  let made: Promise<T> | undefined;
  return {get: () => (made ??= make()), asked: () => made !== undefined};
}

/**
 * The context of a reward on a device, which stays the caller's.
 *
 * Asked for an encoder, it refuses one that is kept independent of all rewards (ConfigError).
 */
export const rewardContext = (environment: Environment, device: Device, settings: RewardSettings): OpenContext =>
  contextThrough(environment, device, settings, async () => {
    const frozen = await openFrozenEncoder(environment, settings.encoder);
    if (frozen.module.independent !== true) return frozen;
    throw new ConfigError(
      `encoder: ${settings.encoder} is the independent encoder "${frozen.module.name}" of ${environment.name}, which measures what rewards do and so may not be one; give another.`,
    );
  });

/** The same, looking through the encoder given. */
export function contextThrough(
  environment: Environment,
  device: Device,
  settings: RewardSettings,
  openEncoder: () => Promise<FrozenEncoder>,
): OpenContext {
  let judge: Judge | undefined;
  const openJudge = (): Judge | undefined => (judge ??= environment.openJudge?.(JUDGE_THREADS));
  const encoder = onDemand(openEncoder);
  const transport = onDemand(async () => openTransportMap(await encoder.get(), settings.transport));
  const preference = onDemand(async () => openPreferenceModel(await encoder.get(), settings.preference));
  return {
    context: {
      environment,
      device,
      encoder: encoder.get,
      transportMap: transport.get,
      preferenceModel: preference.get,
      judge() {
        const found = openJudge();
        if (found) return found;
        throw new ConfigError(`reward "${settings.reward}": the environment ${environment.name} has no judge.`);
      },
    },
    judge: openJudge,
    checkUsed() {
      for (const [key, {asked}] of Object.entries({encoder, transport, preference})) {
        if (settings[key as 'encoder'] === unturned[key as 'encoder'] || asked()) continue;
        throw new ConfigError(`${key}: has no effect in this run: the reward "${settings.reward}" does not use one.`);
      }
    },
    close: async () => judge?.close(),
  };
}
