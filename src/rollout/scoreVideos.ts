/** The scores of videos, or an error by name. */
import type {Prompt} from '../environment.js';
import {ContractError, NonFiniteError} from '../errors.js';
import type {Reward} from '../reward.js';
import type {NdArray} from '../tensor/ndarray.js';

/**
 * Scores videos and checks what comes back.
 *
 * @returns `[B]`, all finite.
 * @throws NonFiniteError with the prompt's name if a score is not finite; ContractError if scores are missing.
 */
export async function scoreVideos(reward: Reward, videos: NdArray<'float32'>, prompts: readonly Prompt[]): Promise<Float32Array> {
  const scores = await reward.score(videos, prompts);
  if (scores.length !== prompts.length) {
    throw new ContractError(`reward "${reward.name}": wanted ${prompts.length} scores, one a video; got ${scores.length}.`);
  }
  const bad = scores.findIndex((r) => !Number.isFinite(r));
  if (bad < 0) return scores;
  throw new NonFiniteError(`reward "${reward.name}" is ${scores[bad]} for prompt "${prompts[bad].text}"; nothing was applied.`);
}
