/** Captioned clips as a frozen encoder sees them: what maps are fitted to and measured on, kept in a file. */
import type {ClipSource} from '../environment.js';
import {ConfigError, CorruptFileError} from '../errors.js';
import type {EncoderSession} from '../evaluate/encoderSession.js';
import {readWeights, writeWeights} from '../run/weights.js';
import {concatRows, type NdArray} from '../tensor/ndarray.js';
import type {Params} from '../tensor/tree.js';
import type {EmbeddedPairs} from './trainMap.js';

/** Embedded pairs with their captions. */
export interface CaptionedPairs extends EmbeddedPairs {
  readonly captions: readonly string[];
}

/** Where pairs come from: `count` of them, from the `first` on; the same ones every time. */
export type PairSource = (first: number, count: number) => Promise<CaptionedPairs>;

/** The pairs of a stream of clips, seen through an encoder. */
export const clipPairs =
  (session: EncoderSession, clips: ClipSource): PairSource =>
  async (first, count) => {
    const {videos, texts} = await clips.clips(
      Array.from({length: count}, (_, i) => first + i),
      false,
    );
    return {text: await session.embedTexts(texts), video: await session.embedVideos(videos), captions: texts};
  };

/** Pairs that are asked for at once. */
const CHUNK = 256;

/**
 * Collects pairs.
 *
 * @param progress told how many there are so far.
 * @returns undefined if the signal aborts first.
 */
export async function collectPairs(
  source: PairSource,
  first: number,
  count: number,
  signal: AbortSignal,
  progress: (done: number) => void,
): Promise<CaptionedPairs | undefined> {
  const parts: CaptionedPairs[] = [];
  for (let done = 0; done < count; done += CHUNK) {
    if (signal.aborted) return undefined;
    parts.push(await source(first + done, Math.min(CHUNK, count - done)));
    progress(Math.min(done + CHUNK, count));
  }
  return {
    text: concatRows(parts.map((part) => part.text)),
    video: concatRows(parts.map((part) => part.video)),
    captions: parts.flatMap((part) => part.captions),
  };
}

/** Pairs to fit to, and other pairs to measure on. */
export interface FitFeatures {
  readonly train: EmbeddedPairs;
  readonly heldOut: CaptionedPairs;
}

/** What features were made of; they serve again only where all of it is the same. */
export type FeatureOrigin = Readonly<Record<'environment' | 'preset' | 'encoderHash' | 'clips' | 'pairs' | 'heldOut', string>>;

/** Writes features. Captions are kept of the held-out pairs alone. */
export const writeFeatures = (path: string, {train, heldOut}: FitFeatures, origin: FeatureOrigin): Promise<void> => {
  const arrays = ({text, video}: EmbeddedPairs): Params => ({text, video});
  const metadata = {...origin, captions: JSON.stringify(heldOut.captions)};
  return writeWeights(path, {train: arrays(train), heldOut: arrays(heldOut)}, {metadata});
};

/**
 * Reads features.
 *
 * @throws ConfigError if they were made of something else than `origin` says; CorruptFileError if the file holds no features.
 */
export async function readFeatures(path: string, origin: FeatureOrigin): Promise<FitFeatures> {
  const {params, metadata} = await readWeights(path);
  for (const [key, wanted] of Object.entries(origin)) {
    if (metadata[key] === wanted) continue;
    throw new ConfigError(`features ${path}: wanted ${key} ${wanted}; got ${metadata[key] ?? 'none'}; make them anew.`);
  }
  const embedded = (set: string, count: number): EmbeddedPairs => {
    const {text, video} = (params[set] ?? {}) as Params as Record<string, NdArray | undefined>;
    if (
      text?.dtype !== 'float32' ||
      video?.dtype !== 'float32' ||
      text.shape[0] !== count ||
      video.shape.join() !== text.shape.join()
    )
      throw new CorruptFileError(`features ${path}: wanted ${count} pairs called ${set}.`);
    return {text: text as NdArray<'float32'>, video: video as NdArray<'float32'>};
  };
  const captions = captionsOf(metadata['captions']);
  if (captions?.length !== Number(origin.heldOut))
    throw new CorruptFileError(`features ${path}: wanted the captions of ${origin.heldOut} held-out pairs.`);
  return {train: embedded('train', Number(origin.pairs)), heldOut: {...embedded('heldOut', captions.length), captions}};
}

function captionsOf(text = 'null'): string[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((v) => typeof v === 'string') ? value : undefined;
  } catch {
    return undefined;
  }
}
