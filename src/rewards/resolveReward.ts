/** What `--reward` means: a name, an expression, a file or a server. */
import {ConfigError, UnknownNameError} from '../errors.js';
import {isRewardName, parseExpression} from '../expression.js';
import {suggestion} from '../nearest.js';
import type {Registry} from '../registry.js';
import type {Reward, RewardModule} from '../reward.js';
import {composeReward} from './composeReward.js';
import {httpReward, isRewardUrl} from './httpReward.js';
import {isRewardFile, loadReward} from './loadReward.js';

/** Names of one's own for rewards that come from files and servers, to be used in expressions. */
export type RewardSources = Readonly<Record<string, string>>;

/**
 * The reward that a text means. Files are loaded; nothing is opened and no server is asked.
 *
 * @param source `judge`, `0.7*quality + mine`, `./mine.ts#redness` or `http://127.0.0.1:8000/score`.
 * @param known the rewards that have names.
 * @param own what further names stand for, each a file or a server.
 * @throws ConfigError if a name is unknown or unused, an expression holds what it may not, or a file is not what it should be.
 */
export async function resolveReward(
  source: string,
  known: Registry<RewardModule>,
  own: RewardSources = {},
): Promise<RewardModule> {
  for (const [name, from] of Object.entries(own)) checkOwn(name, from, known);
  const used = rewardNamesIn(source, known, own);
  const idle = Object.keys(own).find((name) => !used.includes(name));
  if (idle !== undefined)
    throw new ConfigError(`rewards.${idle}: has no effect in this run: the reward "${source}" does not use it.`);
  if (isOutside(source)) return fromOutside(source);
  const modules = await Promise.all(
    used.map(async (name) => (Object.hasOwn(own, name) ? called(name, await fromOutside(own[name])) : known.get(name))),
  );
  return used.length === 1 && used[0] === source ? modules[0] : composeReward(source, modules);
}

const isOutside = (source: string): boolean => isRewardFile(source) || isRewardUrl(source);

/**
 * The names that a text uses, of rewards that ship and of one's own; a file or a server stands for itself.
 *
 * @throws ConfigError as `resolveReward`, for a name that is unknown and an expression that holds what it may not.
 */
export const rewardNamesIn = (source: string, known: Registry<RewardModule>, own: RewardSources): readonly string[] =>
  isOutside(source) || known.has(source) ? [source] : namesIn(source, [...known.names, ...Object.keys(own)]);

/** The rewards that an expression names; one word alone is a name and no expression. */
function namesIn(source: string, names: readonly string[]): readonly string[] {
  if (/^[\w-]*$/.test(source) && !names.includes(source))
    throw new UnknownNameError(`unknown reward "${source}"${suggestion(source, names)}`);
  return parseExpression(source, names).names;
}

const fromOutside = async (source: string): Promise<RewardModule> =>
  isRewardUrl(source) ? httpReward(source) : loadReward(source);

function checkOwn(name: string, from: string, known: Registry<RewardModule>): void {
  if (!isRewardName(name))
    throw new ConfigError(`rewards.${name}: wanted a name of letters and digits that no function or metric has, such as mine.`);
  if (known.has(name)) throw new ConfigError(`rewards.${name}: the name is taken by a reward that ships; choose another.`);
  if (!isRewardFile(from) && !isRewardUrl(from))
    throw new ConfigError(`rewards.${name}: wanted a file or a server, such as ./mine.ts#${name}; got "${from}".`);
}

/** A reward under another name. */
const called = (name: string, module: RewardModule): RewardModule => ({
  name,
  unit: module.unit,
  summary: module.summary,
  async open(context): Promise<Reward> {
    const reward = await module.open(context);
    return {
      name,
      unit: reward.unit,
      score: (videos, prompts) => reward.score(videos, prompts),
      ...(reward.differentiable && {differentiable: reward.differentiable}),
      ...(reward.relative !== undefined && {relative: reward.relative}),
      ...(reward.verification && {verification: reward.verification}),
      close: async () => reward.close?.(),
    };
  },
});
