/**
 * Advantages: how much better a sample is than what was to be expected of its prompt. Plain float64 arithmetic on a few hundred
 * numbers; never part of a graph.
 *
 * All of them are (r − mean)/(std + ε). Where all values behind a mean and std are equal, the mean is that value and the std is
 * 0, exactly, so the advantages are 0: rounding would leave a deviation of the size of ε that looks like a signal (about ±.9 in
 * float32 with ε = 1e-8).
 */
import {ConfigError, ShapeError} from '../errors.js';

/** `population` divides the squares by n (numpy), `sample` by n − 1 (torch, unbiased). */
export type Deviation = 'population' | 'sample';

/** Mean and standard deviation of at least one value; equal values have a deviation of exactly 0, and so has a single one. */
export function statistics(values: readonly number[], deviation: Deviation = 'population'): {mean: number; std: number} {
  if (values.every((v) => v === values[0])) return {mean: values[0], std: 0};
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const squares = values.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  return {mean, std: Math.sqrt(squares / (deviation === 'population' ? values.length : values.length - 1))};
}

/** Options of {@link groupAdvantages}. */
export interface GroupAdvantageOptions {
  /**
   * What deviations from the group's mean are divided by: the std of the `group` (default; DanceGRPO), of the whole `batch`
   * (Flow-GRPO's global std), of the group where it is largest (`largestGroup`; LongCat), or nothing (`none`; Dr. GRPO).
   */
  readonly scale?: 'group' | 'batch' | 'largestGroup' | 'none';
  /** Default `population`. Flow-GRPO and GenRL: population; DanceGRPO, MixGRPO, UniRL and PISCES: sample. */
  readonly deviation?: Deviation;
  /** ε ≥ 0, added to the std. Default 1e-4 (Flow-GRPO); DanceGRPO 1e-8, PISCES 1e-6. */
  readonly epsilon?: number;
  /**
   * Outliers of each group that its mean and std are taken without: a share of its samples, in [0, .5), rounded down, of the lowest
   * ones (MixGRPO) or of both ends (UniRL). They have advantages like the others. Default none.
   */
  readonly trim?: {readonly share: number; readonly ends: 'lowest' | 'both'};
}

/** A group's rewards without its outliers. */
function trimmed(values: readonly number[], {share, ends}: NonNullable<GroupAdvantageOptions['trim']>): number[] {
  const cut = Math.floor(values.length * share);
  const rising = [...values].sort((a, b) => a - b);
  return rising.slice(cut, rising.length - (ends === 'both' ? cut : 0));
}

function requireSameLength(where: string, rewards: ArrayLike<number>, names: readonly unknown[]): void {
  if (rewards.length !== names.length) {
    throw new ShapeError(`${where}: wanted a prompt for each reward; got ${rewards.length} rewards and ${names.length} prompts.`);
  }
}

/** Positions of each distinct name, in the order of its first one. */
export function positions<K>(names: readonly K[]): Map<K, number[]> {
  const found = new Map<K, number[]>();
  names.forEach((name, i) => {
    const list = found.get(name);
    if (list) list.push(i);
    else found.set(name, [i]);
  });
  return found;
}

/**
 * Group-relative advantages: each reward against the mean of its group. A group of one gets 0.
 *
 * @param rewards one for each sample.
 * @param groups the name of each sample's group, in any order: usually its prompt.
 * @source Shao et al. 2024, "DeepSeekMath", §4.1.2 (GRPO); global std: Liu et al. 2025, "Flow-GRPO".
 * @throws ShapeError if the lengths differ.
 */
export function groupAdvantages(
  rewards: ArrayLike<number>,
  groups: readonly (string | number)[],
  {scale = 'group', deviation = 'population', epsilon = 1e-4, trim}: GroupAdvantageOptions = {},
): Float64Array {
  requireSameLength('groupAdvantages', rewards, groups);
  const all = Array.from(rewards);
  const members = [...positions(groups).values()];
  const each = members.map((indices) => {
    const own = indices.map((i) => all[i]);
    return statistics(trim ? trimmed(own, trim) : own, deviation);
  });
  const shared =
    scale === 'batch' && all.length > 0 ? statistics(all, deviation).std : each.reduce((max, {std}) => Math.max(max, std), 0);
  const advantages = new Float64Array(all.length);
  members.forEach((indices, g) => {
    const {mean, std} = each[g];
    const divisor = scale === 'none' ? 1 : (scale === 'group' ? std : shared) + epsilon;
    for (const i of indices) advantages[i] = divisor > 0 ? (all[i] - mean) / divisor : 0;
  });
  return advantages;
}

/** Advantages against the mean and std of the whole batch: DDPO without per-prompt tracking (ε = 1e-8). */
export const batchAdvantages = (rewards: ArrayLike<number>, options: Omit<GroupAdvantageOptions, 'scale'> = {}): Float64Array =>
  groupAdvantages(rewards, new Array<number>(rewards.length).fill(0), {epsilon: 1e-8, ...options});

/** The latest rewards of each prompt: plain data, to be stored with a checkpoint as it is. */
export interface PromptTracker {
  /** Rewards kept for each prompt; older ones are forgotten. */
  readonly bufferSize: number;
  /** A prompt with fewer rewards than this is measured against the whole batch. */
  readonly minCount: number;
  /** By prompt id, oldest first. */
  readonly rewards: Readonly<Record<string, readonly number[]>>;
}

/**
 * A tracker that has seen nothing.
 *
 * @throws ConfigError unless 1 ≤ minCount ≤ bufferSize: a buffer that cannot reach its count would never be used.
 */
export function promptTracker(bufferSize: number, minCount: number): PromptTracker {
  if (!Number.isInteger(bufferSize) || !Number.isInteger(minCount) || minCount < 1 || bufferSize < minCount) {
    throw new ConfigError(
      `promptTracker: wanted integers with 1 ≤ minCount ≤ bufferSize; got minCount ${minCount}, bufferSize ${bufferSize}.`,
    );
  }
  return {bufferSize, minCount, rewards: {}};
}

/**
 * Per-prompt advantages over time: this call's rewards enter their prompts' buffers first, then each is measured against the
 * mean and population std of its buffer, or of this whole batch while the buffer is shorter than `minCount`; ε = 1e-6.
 *
 * @param prompts the prompt id of each reward.
 * @returns the advantages and the tracker to use next; the one given is not changed.
 * @source Black et al. 2024, "Training diffusion models with reinforcement learning" (DDPO), §5.1; ddpo-pytorch
 * `PerPromptStatTracker`.
 * @deviation Whole-number rewards have fractional advantages here; ddpo-pytorch truncates them.
 * @throws ShapeError if the lengths differ.
 */
export function trackAdvantages(
  tracker: PromptTracker,
  prompts: readonly string[],
  rewards: ArrayLike<number>,
): {advantages: Float64Array; tracker: PromptTracker} {
  requireSameLength('trackAdvantages', rewards, prompts);
  const all = Array.from(rewards);
  const buffers = new Map(Object.entries(tracker.rewards));
  const advantages = new Float64Array(all.length);
  for (const [prompt, indices] of positions(prompts)) {
    const buffer = [...(buffers.get(prompt) ?? []), ...indices.map((i) => all[i])].slice(-tracker.bufferSize);
    buffers.set(prompt, buffer);
    const {mean, std} = statistics(buffer.length < tracker.minCount ? all : buffer);
    for (const i of indices) advantages[i] = (all[i] - mean) / (std + 1e-6);
  }
  return {advantages, tracker: {...tracker, rewards: Object.fromEntries(buffers)}};
}

/** Advantages limited to [−limit, limit]; every published trainer uses 5. */
export const clampAdvantages = (advantages: Float64Array, limit: number): Float64Array =>
  advantages.map((a) => Math.min(limit, Math.max(-limit, a)));
