/**
 * Rewards with weights. A head that was not loaded, or half of it, still gives numbers, and a policy would learn them; so the
 * file holds the scores that its reward gives to fixed clips, and a reward that gives others does not open.
 */
import {basename} from 'node:path';
import {z} from 'zod';
import {ContractError, CorruptFileError} from '../errors.js';
import type {Reward} from '../reward.js';
import {readWeights} from '../run/weights.js';
import type {NdArray} from '../tensor/ndarray.js';
import {leaves, type Branch, type Params} from '../tensor/tree.js';
import {fixedClips} from './fixedClips.js';

/** Weights of a reward, all of them. */
export interface RewardWeights {
  /** Name of the file, for messages. */
  readonly file: string;
  readonly params: Params;
  readonly metadata: Readonly<Record<string, string>>;
  /** Tensors that were wanted, all of which are there. */
  readonly tensors: number;
  /** Tensors of the file that nobody wanted, by name. */
  readonly unused: readonly string[];
}

/** What a file says about the scores of fixed clips; `version` changes when the clips do. */
const expectation = z.strictObject({
  version: z.literal(1),
  texts: z.array(z.string()).min(2).max(64),
  scores: z.array(z.number()).min(2).max(64),
  tolerance: z.number().positive(),
});

const keyOf = (reward: Reward): string => `expectedScores.${reward.name}`;

/** Scores that are met to a hundredth of their range are met; a head that differs in one tensor misses by more. */
const TOLERANCE = 0.01;
/** Scores of fixed clips must differ by this part of their size: below, float32 rounding alone could miss them. */
const LEAST_RANGE = 1e-3;

/**
 * Reads a reward's weights and checks that they are the ones its networks are made of.
 *
 * @param wanted a tree with the names, types and shapes of the tensors: freshly initialised parameters will do.
 * @throws CorruptFileError that names what is missing or has another shape, and counts the rest.
 */
export async function openRewardWeights(
  path: string | URL,
  wanted: Branch<Pick<NdArray, 'dtype' | 'shape'>>,
): Promise<RewardWeights> {
  const file = basename(path instanceof URL ? path.pathname : path);
  const {params, metadata} = await readWeights(path);
  const found = new Map(leaves<NdArray>(params));
  const specs = leaves<Pick<NdArray, 'dtype' | 'shape'>>(wanted);
  const text = ({dtype, shape}: Pick<NdArray, 'dtype' | 'shape'>): string => `${dtype} [${shape.join(', ')}]`;
  const faults = specs.flatMap(([name, spec]) => {
    const tensor = found.get(name);
    if (tensor && text(tensor) === text(spec)) return [];
    return [`${name} ${tensor ? `is ${text(tensor)} instead of ${text(spec)}` : 'is missing'}`];
  });
  if (faults.length > 0) {
    const others = faults.length > 3 ? ` and ${faults.length - 3} more` : '';
    throw new CorruptFileError(
      `${file}: wanted the ${specs.length} tensors of a reward; ${faults.slice(0, 3).join(', ')}${others}. A reward with a partly random head is not opened.`,
    );
  }
  const names = new Set(specs.map(([name]) => name));
  return {file, params, metadata, tensors: specs.length, unused: [...found.keys()].filter((name) => !names.has(name))};
}

/**
 * What to write into the metadata of a reward's weights, so that `verifiedReward` can tell them from others.
 *
 * @param texts captions that go with the fixed clips, one each; from 4 on they tell enough.
 * @param videoShape `[F, H, W, C]`.
 * @throws ContractError if the clips score so much alike that a damaged head could pass.
 */
export async function expectedScores(
  reward: Reward,
  texts: readonly string[],
  videoShape: readonly number[],
): Promise<Record<string, string>> {
  const scores = Array.from(await scoresOf(reward, texts, videoShape));
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  const size = Math.max(Math.abs(low), Math.abs(high));
  if (!(high - low >= LEAST_RANGE * size) || size === 0) {
    throw new ContractError(
      `reward "${reward.name}": wanted fixed clips to score differently, to tell these weights from others; got ${low} to ${high}.`,
    );
  }
  const content = {version: 1, texts: [...texts], scores, tolerance: TOLERANCE * (high - low)} satisfies z.input<
    typeof expectation
  >;
  return {[keyOf(reward)]: JSON.stringify(content)};
}

const scoresOf = (reward: Reward, texts: readonly string[], videoShape: readonly number[]): Promise<Float32Array> =>
  reward.score(
    fixedClips(texts.length, videoShape),
    texts.map((text) => ({id: text, text})),
  );

/**
 * The reward, if it gives fixed clips the scores that its weights promise; what was found is its `verification`. Otherwise the
 * reward is closed.
 *
 * @param weights the files that it is made of; one of them holds the scores, by `expectedScores`.
 * @param videoShape `[F, H, W, C]`.
 * @throws CorruptFileError if it gives others, or if no file holds any.
 */
export async function verifiedReward(
  reward: Reward,
  weights: readonly RewardWeights[],
  videoShape: readonly number[],
): Promise<Reward> {
  try {
    const holder = weights.find(({metadata}) => keyOf(reward) in metadata);
    if (!holder) {
      throw new CorruptFileError(
        `${weights.map(({file}) => file).join(', ')}: wanted scores of fixed clips for the reward "${reward.name}", in the metadata; there are none, so that random weights could not be told; write them with expectedScores.`,
      );
    }
    const {texts, scores, tolerance} = expectationIn(holder, reward);
    const found = await scoresOf(reward, texts, videoShape);
    const gaps = scores.map((score, i) => Math.abs(score - found[i]));
    // Written so that NaN fails.
    const worst = gaps.findIndex((gap) => !(gap <= tolerance));
    if (worst >= 0) {
      throw new CorruptFileError(
        `${holder.file}: wanted the reward "${reward.name}" to give the scores of fixed clips that the file holds, within ${tolerance.toPrecision(2)}; got ${found[worst]} for clip ${worst} instead of ${scores[worst]}; the weights are random, partly loaded or another network's.`,
      );
    }
    const verification = {
      tensors: weights.reduce((sum, {tensors}) => sum + tensors, 0),
      unused: weights.flatMap(({unused}) => unused),
      clips: scores.length,
      largestGap: Math.max(...gaps),
      tolerance,
    };
    return Object.assign(reward, {verification});
  } catch (error) {
    await reward.close?.();
    throw error;
  }
}

function expectationIn({file, metadata}: RewardWeights, reward: Reward): z.output<typeof expectation> {
  try {
    const found = expectation.parse(JSON.parse(metadata[keyOf(reward)]));
    if (found.texts.length === found.scores.length) return found;
  } catch {
    // Told below, in one manner.
  }
  throw new CorruptFileError(
    `${file}: its metadata "${keyOf(reward)}" are not the scores of fixed clips that expectedScores writes.`,
  );
}
