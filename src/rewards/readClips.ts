/**
 * Whether a reward can read: it scores clips of the world with their own captions and with those of others. Weights that are
 * random, or loaded in part, prefer a clip's own caption no more often than chance does.
 */
import type {Environment} from '../environment.js';
import {CorruptFileError} from '../errors.js';
import type {Reward} from '../reward.js';
import {scoreAll} from '../rollout/scoreVideos.js';
import {take} from '../tensor/ndarray.js';
import {fromBytes} from '../tensor/pixels.js';
import {spreadOf, type Spread} from './spread.js';

/** Clips that are scored, and captions of each: its own and those of the next clips that have others. */
const CLIPS = 32;
const CAPTIONS = 4;
/**
 * Clips of the 32 whose own caption a trained reward prefers, at the least. Encoder A of `fluentClips` nano with noise on all of its
 * weights preferred 8 on average and at most 16 in 120 draws, and none as it is initialised; with contrast of 2,560 pairs 28, and
 * that of mini with 12,800 pairs 31.
 */
const LEAST = 22;

/** What a reward gave. */
export interface Reading {
  /** Scores of clips with their own captions, and with others'. */
  readonly own: Spread;
  readonly swapped: Spread;
  /** Clips whose own caption scored higher than each of the others. */
  readonly preferred: number;
  /** Clips that were scored, and captions of each. */
  readonly clips: number;
  readonly captions: number;
}

/** Readings of a reward and of its parts. */
export interface Readings {
  readonly of: ReadonlyMap<Reward, Reading>;
  readonly clipsPerSecond: number;
}

/**
 * Scores the world's clips by a reward and its parts.
 *
 * @returns undefined if the world makes no clips, or not enough captions.
 * @throws as `scoreVideos`.
 */
export async function readClips(reward: Reward, environment: Environment): Promise<Readings | undefined> {
  const source = environment.openClips?.('validation', 0);
  if (!source) return undefined;
  try {
    const indices = Array.from({length: CLIPS}, (_, i) => i);
    const {videos, texts} = await source.clips(indices, false);
    const captions = texts.map((own, i) => {
      const others = new Set([...texts.slice(i), ...texts.slice(0, i)]);
      others.delete(own);
      return [own, ...others].slice(0, CAPTIONS);
    });
    if (captions.some(({length}) => length < CAPTIONS)) return undefined;
    const began = performance.now();
    const scores = await scoreAll(
      reward,
      take(
        fromBytes(videos),
        captions.flatMap((each, i) => each.map(() => i)),
      ),
      captions.flat().map((text) => ({id: text, text})),
    );
    const seconds = (performance.now() - began) / 1000;
    return {
      of: new Map(Array.from(scores, ([one, found]) => [one, readingOf(found)])),
      clipsPerSecond: (CLIPS * CAPTIONS) / seconds,
    };
  } finally {
    await source.close();
  }
}

/** Reads the scores of each clip with its captions, its own first. */
function readingOf(scores: Float32Array): Reading {
  const perClip = Array.from({length: CLIPS}, (_, i) => [...scores.subarray(i * CAPTIONS, (i + 1) * CAPTIONS)]);
  return {
    own: spreadOf(perClip.map(([own]) => own)),
    swapped: spreadOf(perClip.flatMap(([, ...others]) => others)),
    preferred: perClip.filter(([own, ...others]) => others.every((other) => own > other)).length,
    clips: CLIPS,
    captions: CAPTIONS,
  };
}

/**
 * Refuses rewards that look through an encoder and cannot read.
 *
 * @throws CorruptFileError naming the files that the weights came from.
 */
export function refuseBlind(readings: Readings['of']): void {
  for (const [{name, differentiable}, {preferred}] of readings) {
    if (!differentiable?.through?.comparesCaptions || preferred >= LEAST) continue;
    const {files} = differentiable.through;
    throw new CorruptFileError(
      `${files.join(', ')}: wanted the reward "${name}" to prefer a clip's own caption to ${CAPTIONS - 1} others for at least ${LEAST} of ${CLIPS} clips; got ${preferred}, and chance gives ${CLIPS / CAPTIONS}; the weights are random, loaded in part or hardly trained. Give an encoder of rlft pretrain encoder that was trained to the end${files.length > 1 ? ', and what was fitted to it' : ''}.`,
    );
  }
}
