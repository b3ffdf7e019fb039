/** The judge of the world: clips to scores, here or on worker threads. */
import {
  besideModule,
  rows,
  ShapeError,
  workerPool,
  type Judge,
  type Judgement,
  type NdArray,
  type Prompt,
} from '../../../src/plugin.js';
import {factsOf, type Facts} from '../caption.js';
import {presetNamed, type Preset} from '../spec.js';
import {aggregate, dimensions, judgementOf} from './aggregate.js';
import {scoreClip} from './metrics.js';
import {clipParser} from './parse.js';

/** Clips for one thread, one after the other, and what their captions promise. */
export interface JudgeRequest {
  readonly videos: Float32Array;
  readonly facts: readonly Facts[];
}

/** Makes the function that judges clips of a preset in this thread. */
export function clipJudge(presetName: string): (request: JudgeRequest) => readonly Judgement[] {
  const preset = presetNamed(presetName);
  const parse = clipParser(preset);
  const size = preset.frames * preset.side ** 2 * 3;
  return ({videos, facts}) =>
    facts.map((fact, i) => judgementOf(scoreClip(parse(videos.subarray(i * size, (i + 1) * size)), fact)));
}

/** Clips a request: small ones keep the threads evenly busy. */
const clipsPerRequest = 8;

/**
 * Opens the judge of a preset.
 *
 * @param threads 0 judges in this thread; more start that many worker threads.
 */
export function openJudge(preset: Preset, threads: number): Judge {
  const shape = [preset.frames, preset.side, preset.side, 3];
  const pool =
    threads > 0
      ? workerPool<JudgeRequest, readonly Judgement[]>(besideModule(import.meta.url, 'judgeWorker'), threads, preset.name)
      : undefined;
  let here: ReturnType<typeof clipJudge> | undefined;

  const judgePart = async (videos: NdArray<'float32'>, facts: readonly Facts[]): Promise<readonly Judgement[]> => {
    if (pool !== undefined) return pool.run({videos: videos.data.slice(), facts});
    here ??= clipJudge(preset.name);
    return here({videos: videos.data, facts});
  };

  return {
    dimensions,
    aggregate,
    async judge(videos: NdArray<'float32'>, prompts: readonly Prompt[]): Promise<readonly Judgement[]> {
      const wanted = [prompts.length, ...shape];
      if (videos.shape.join() !== wanted.join()) {
        throw new ShapeError(
          `fluentClips judge: wanted videos [${wanted.join(', ')}], one for each prompt; got [${videos.shape.join(', ')}].`,
        );
      }
      const facts = prompts.map((prompt) => factsOf(prompt.text));
      const parts: Promise<readonly Judgement[]>[] = [];
      for (let start = 0; start < prompts.length; start += clipsPerRequest) {
        const end = Math.min(prompts.length, start + clipsPerRequest);
        parts.push(judgePart(rows(videos, start, end), facts.slice(start, end)));
      }
      return (await Promise.all(parts)).flat();
    },
    async close(): Promise<void> {
      await pool?.close();
    },
  };
}
