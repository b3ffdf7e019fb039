/** The clips of a stream as batches, rendered here or by worker threads. */
import {besideModule, ndarray, workerPool, type ClipSource} from '../../src/plugin.js';
import {wrongCaptionOf} from './counterfactuals.js';
import {clipOf, isPairStream, stillFrames, type ClipStream} from './streams.js';
import type {Preset} from './spec.js';

/** One batch for one thread. */
export interface ClipRequest {
  readonly indices: readonly number[];
  readonly stills: boolean;
}

/** Clips one after the other, the caption of each and, for an encoder to learn from, a wrong one. */
export interface ClipReply {
  readonly pixels: Uint8Array<ArrayBuffer>;
  readonly texts: readonly string[];
  readonly wrong?: readonly string[];
}

/** What every thread is told at its start. */
export interface ClipSetup {
  readonly preset: Preset;
  readonly stream: ClipStream;
}

const framesOf = (preset: Preset, stills: boolean): number => (stills ? stillFrames : preset.frames);

/** Renders one batch. */
export function renderBatch({preset, stream}: ClipSetup, {indices, stills}: ClipRequest): ClipReply {
  const size = framesOf(preset, stills) * preset.side ** 2 * 3;
  const pixels = new Uint8Array(indices.length * size);
  const texts = indices.map((index, i) => {
    const clip = clipOf(preset, stream, index, stills);
    pixels.set(clip.pixels, i * size);
    return clip.text;
  });
  return {pixels, texts, ...(isPairStream(stream) && {wrong: indices.map((index) => wrongCaptionOf(preset, stream, index))})};
}

/** Cuts a list into `parts` runs of nearly equal length, without empty ones. */
const slices = <T>(values: readonly T[], parts: number): (readonly T[])[] => {
  const length = Math.ceil(values.length / parts);
  return Array.from({length: length && Math.ceil(values.length / length)}, (_, i) => values.slice(i * length, (i + 1) * length));
};

/**
 * Opens a stream of clips.
 *
 * @param threads 0 renders in this thread; more splits every batch between that many worker threads.
 */
export function openClips(preset: Preset, stream: ClipStream, threads: number): ClipSource {
  const setup: ClipSetup = {preset, stream};
  const pool =
    threads > 0 ? workerPool<ClipRequest, ClipReply>(besideModule(import.meta.url, 'clipWorker'), threads, setup) : undefined;

  const batch = async (indices: readonly number[], stills: boolean): Promise<ClipReply> => {
    if (pool === undefined) return renderBatch(setup, {indices, stills});
    const parts = await Promise.all(slices(indices, threads).map((part) => pool.run({indices: part, stills})));
    const pixels = new Uint8Array(parts.reduce((sum, part) => sum + part.pixels.length, 0));
    let at = 0;
    for (const part of parts) {
      pixels.set(part.pixels, at);
      at += part.pixels.length;
    }
    const texts = parts.flatMap((part) => part.texts);
    return {pixels, texts, ...(isPairStream(stream) && {wrong: parts.flatMap((part) => part.wrong ?? [])})};
  };

  return {
    async clips(indices, stills) {
      const {pixels, ...captions} = await batch(indices, stills);
      const shape = [indices.length, framesOf(preset, stills), preset.side, preset.side, 3];
      return {videos: ndarray('uint8', shape, pixels), ...captions};
    },
    async close() {
      await pool?.close();
    },
  };
}
