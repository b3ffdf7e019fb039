/** The scores of videos, or an error by name. */
import type {Prompt} from '../environment.js';
import {ContractError, NonFiniteError} from '../errors.js';
import type {PartScores, Reward} from '../reward.js';
import type {NdArray} from '../tensor/ndarray.js';

/**
 * Scores videos and checks what comes back.
 *
 * @returns `[B]`, all finite.
 * @throws NonFiniteError with the prompt's name if a score is not finite; ContractError if scores are missing, or not a
 * Float32Array.
 */
export async function scoreVideos(reward: Reward, videos: NdArray<'float32'>, prompts: readonly Prompt[]): Promise<Float32Array> {
  return (await scoreParts(reward, videos, prompts)).scores;
}

/**
 * The same, with the scores of each part of a composed reward.
 *
 * @throws as `scoreVideos`.
 */
export async function scoreParts(reward: Reward, videos: NdArray<'float32'>, prompts: readonly Prompt[]): Promise<PartScores> {
  const found = reward.scoreParts
    ? await reward.scoreParts(videos, prompts)
    : {scores: await reward.score(videos, prompts), parts: {}};
  checkScores(reward.name, found.scores, prompts);
  return found;
}

/**
 * The same, by reward: of itself and of each of its parts.
 *
 * @throws as `scoreVideos`.
 */
export async function scoreAll(
  reward: Reward,
  videos: NdArray<'float32'>,
  prompts: readonly Prompt[],
): Promise<ReadonlyMap<Reward, Float32Array>> {
  const {scores, parts} = await scoreParts(reward, videos, prompts);
  return new Map([[reward, scores], ...(reward.parts ?? []).map((part) => [part, parts[part.name]] as const)]);
}

/**
 * Checks what a reward gave.
 *
 * @throws as `scoreVideos`.
 */
export function checkScores(name: string, scores: Float32Array, prompts: readonly Prompt[]): void {
  if (!(scores instanceof Float32Array)) {
    throw new ContractError(`reward "${name}": wanted scores as a Float32Array; got ${typeof scores}.`);
  }
  if (scores.length !== prompts.length) {
    throw new ContractError(`reward "${name}": wanted ${prompts.length} scores, one a video; got ${scores.length}.`);
  }
  const bad = scores.findIndex((r) => !Number.isFinite(r));
  if (bad < 0) return;
  throw new NonFiniteError(`reward "${name}" is ${scores[bad]} for prompt "${prompts[bad].text}"; nothing was applied.`);
}
