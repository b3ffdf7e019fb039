/** The verification card of a reward: what can be known about it before a policy is optimised for it. */
import type {Environment, Prompt} from '../environment.js';
import {NonFiniteError} from '../errors.js';
import type {Reward, Verification} from '../reward.js';
import {scoreAll} from '../rollout/scoreVideos.js';
import type {NdArray} from '../tensor/ndarray.js';
import {fixedClips} from './fixedClips.js';
import {readClips, refuseBlind, type Reading} from './readClips.js';
import {spreadOf, type Spread} from './spread.js';

/** Patterns that are scored: two for each prompt, so that rewards which compare samples of a prompt have something to compare. */
const PATTERNS = 8;

/** What was found. */
export interface RewardCard {
  readonly name: string;
  readonly unit: string;
  /** Whether algorithms that need its gradient can use it. */
  readonly differentiable: boolean;
  /** Whether it compares samples of one prompt alone. */
  readonly relative: boolean;
  /** What was verified about its weights, if it has any. */
  readonly verification?: Verification;
  /** Scores of fixed patterns, or what is wrong with them. */
  readonly patterns: Spread | {readonly problem: string};
  /** Whether the same clips got the same scores twice. */
  readonly repeatable: boolean;
  /** Speed after a first batch, on the world's clips if they were scored, else on patterns; parts have none of their own. */
  readonly clipsPerSecond?: number;
  /** Scores of the world's own clips with their captions, and with others'. */
  readonly clips?: Reading;
  /** The same of each part of a composed reward. */
  readonly parts: readonly RewardCard[];
}

/**
 * Tries a reward on fixed patterns and, if asked, on clips of the world. Parts of a composed reward are scored along with it.
 *
 * @param options.clips also score the world's own clips, if it makes any; it takes a second. Default: where the reward or a part
 * of it looks through a video-text encoder.
 * @throws CorruptFileError if a reward that looks through an encoder does not tell a clip's own caption from others: its weights
 * are not the right ones. Whatever the reward throws, but for scores of patterns that are not finite: they are part of the card.
 */
export async function rewardCard(
  reward: Reward,
  environment: Environment,
  options: {readonly clips?: boolean} = {},
): Promise<RewardCard> {
  const all = [reward, ...(reward.parts ?? [])];
  const {clips = all.some(({differentiable}) => differentiable?.through !== undefined)} = options;
  const videos = fixedClips(PATTERNS, environment.videoShape);
  const known = environment.prompts('heldOut', PATTERNS / 2);
  const prompts = Array.from({length: PATTERNS}, (_, i) => known[i % known.length]);
  const tried = await attempt(reward, videos, prompts);
  const began = performance.now();
  const again = await attempt(reward, videos, prompts);
  const patternsPerSecond = (1000 * PATTERNS) / (performance.now() - began);
  const readings = clips ? await readClips(reward, environment) : undefined;
  if (readings) refuseBlind(readings.of);
  const cardOf = (one: Reward): Omit<RewardCard, 'parts'> => {
    const [first, second] = [tried.get(one)!, again.get(one)!];
    const reading = one.relative ? undefined : readings?.of.get(one);
    return {
      name: one.name,
      unit: one.unit,
      differentiable: one.differentiable !== undefined,
      relative: one.relative === true,
      ...(one.verification && {verification: one.verification}),
      patterns: 'problem' in first ? first : spreadOf(first.scores),
      repeatable: JSON.stringify(first) === JSON.stringify(second),
      ...(reading && {clips: reading}),
    };
  };
  return {
    ...cardOf(reward),
    clipsPerSecond: readings?.clipsPerSecond ?? patternsPerSecond,
    parts: (reward.parts ?? []).map((part) => ({...cardOf(part), parts: []})),
  };
}

type Attempt = {readonly scores: readonly number[]} | {readonly problem: string};

/** What a reward and each of its parts say; each by itself only where one of them, or their composition, is not finite. */
async function attempt(
  reward: Reward,
  videos: NdArray<'float32'>,
  prompts: readonly Prompt[],
): Promise<ReadonlyMap<Reward, Attempt>> {
  try {
    const scores = await scoreAll(reward, videos, prompts);
    return new Map(Array.from(scores, ([one, found]) => [one, {scores: Array.from(found)}]));
  } catch (error) {
    if (!(error instanceof NonFiniteError)) throw error;
    const parts = await Promise.all((reward.parts ?? []).map((part) => attempt(part, videos, prompts)));
    const problem = error.message.replace('; nothing was applied', '');
    return new Map([[reward, {problem}], ...parts.flatMap((each) => [...each])]);
  }
}
