/**
 * Advantages from several rewards of the same samples, and choices among samples. Plain float64 arithmetic; never part of a graph.
 */
import {groupAdvantages, statistics, type Deviation, type GroupAdvantageOptions} from './advantages.js';

type Group = string | number;

/** One of several rewards. */
export interface WeightedReward {
  /** One for each sample. */
  readonly rewards: ArrayLike<number>;
  readonly weight: number;
}

const weightedSum = (length: number, terms: readonly (readonly [weight: number, values: ArrayLike<number>])[]): Float64Array =>
  new Float64Array(length).map((_, i) => terms.reduce((sum, [weight, values]) => sum + weight * values[i], 0));

/** Σ w·r: one reward out of several, in their own units. */
export const summedRewards = (several: readonly WeightedReward[]): Float64Array =>
  weightedSum(
    several[0].rewards.length,
    several.map(({weight, rewards}) => [weight, rewards]),
  );

/**
 * Σ w·A: each reward is turned into advantages by itself, so that its unit and its size do not matter, and then weighed.
 *
 * @param groups the name of each sample's group.
 * @source Xue et al. 2025, "DanceGRPO", and Li et al. 2025, "MixGRPO": its mode advantage_aggr.
 */
export const weightedAdvantages = (
  several: readonly WeightedReward[],
  groups: readonly Group[],
  options: GroupAdvantageOptions = {},
): Float64Array =>
  weightedSum(
    groups.length,
    several.map(({weight, rewards}) => [weight, groupAdvantages(rewards, groups, options)]),
  );

/**
 * Group reward-decoupled advantages: Σ w·A with each A normalised in its group, then normalised once more over the batch, so that
 * their size does not grow with the number of rewards.
 *
 * @param groups the name of each sample's group.
 * @source Liu et al. 2026, "GDPO", arXiv:2601.05242.
 */
export function gdpoAdvantages(
  several: readonly WeightedReward[],
  groups: readonly Group[],
  {deviation = 'population', epsilon = 1e-6}: {readonly deviation?: Deviation; readonly epsilon?: number} = {},
): Float64Array {
  const sum = weightedAdvantages(several, groups, {scale: 'group', deviation, epsilon});
  return groupAdvantages(sum, new Array<number>(sum.length).fill(0), {deviation, epsilon});
}

/**
 * The samples that stand out: the upper half of `count` are the best, the lower half the worst; an odd one goes to the best.
 *
 * @returns positions in rising order; all of them if there are no more than `count`. Among equals the earlier counts as worse.
 * @source Xue et al. 2025, "DanceGRPO", best-of-N.
 */
export function bestAndWorst(values: ArrayLike<number>, count: number): number[] {
  const rising = Array.from(values, (_, i) => i).sort((i, j) => values[i] - values[j] || i - j);
  if (count >= rising.length) return rising.sort((i, j) => i - j);
  const worst = Math.floor(count / 2);
  return [...rising.slice(0, worst), ...rising.slice(rising.length - (count - worst))].sort((i, j) => i - j);
}

/**
 * How much there is to learn from: the share of groups whose rewards are all equal, and the mean deviation of a group.
 *
 * @source Liu et al. 2025, "Flow-GRPO", its zero_std_ratio.
 */
export function groupSpread(rewards: ArrayLike<number>, groups: readonly Group[]): {equal: number; meanStd: number} {
  const members = new Map<Group, number[]>();
  groups.forEach((group, i) => members.set(group, [...(members.get(group) ?? []), rewards[i]]));
  const stds = [...members.values()].map((values) => statistics(values).std);
  return {equal: stds.filter((std) => std === 0).length / stds.length, meanStd: statistics(stds).mean};
}
