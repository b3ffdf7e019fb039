/** Pictures of a run: the same prompts and the same noise at every stage, beside what the policy drew before. */
import {join} from 'node:path';
import type {ResidentTree} from '../engine/device.js';
import type {Environment} from '../environment.js';
import type {ResidentLearner} from '../learn/learner.js';
import {animatedGif, animatedSheet, clipOf, contactSheet} from '../report/pictures.js';
import type {Generator} from '../rollout/generate.js';
import {noiseless} from '../rollout/noiseless.js';
import type {RunFolder} from '../run/runFolder.js';
import type {EventFile} from '../run/tensorboard.js';
import {writeAtomically} from '../run/writeAtomically.js';
import type {NdArray} from '../tensor/ndarray.js';
import {toBytes} from '../tensor/pixels.js';

/** Prompts that are shown. */
const SHOWN = 8;
/** Prompts that TensorBoard gets. */
const IN_EVENTS = 4;

/** Where the pictures come from and go to. */
export interface PictureParts {
  readonly folder: RunFolder;
  readonly environment: Environment;
  readonly generate: Generator;
  readonly learner: ResidentLearner;
  readonly events: EventFile;
  readonly steps: number;
  readonly seed: number;
}

/**
 * Makes the writer of a run's pictures: `samples/00000012.webp` (moving) and `.png` (frames) of an iteration, before on the left,
 * now on the right. What the policy drew before is drawn once.
 */
export function pictureWriter({
  folder,
  environment,
  generate,
  learner,
  events,
  steps,
  seed,
}: PictureParts): (iteration: number) => Promise<void> {
  const prompts = environment.prompts('heldOut', SHOWN);
  const request = noiseless({prompts, steps, seed, purpose: 'evaluation'});
  const draw = async (policy: ResidentTree): Promise<NdArray<'uint8'>> => toBytes((await generate(policy, request)).videos);
  let drawnBefore: NdArray<'uint8'> | undefined;
  return async (iteration) => {
    const before = (drawnBefore ??= await draw(learner.reference));
    const now = iteration === 0 ? before : await draw(learner.averaged);
    const rows = prompts.map((prompt, i) => ({
      caption: prompt.text,
      clips: iteration === 0 ? [clipOf(before, i)] : [clipOf(before, i), clipOf(now, i)],
    }));
    const headings = iteration === 0 ? ['before'] : ['before', `iteration ${iteration}`];
    const name = join(folder.samples, String(iteration).padStart(8, '0'));
    await writeAtomically(`${name}.webp`, [(await animatedSheet(rows, {headings})).bytes]);
    await writeAtomically(`${name}.png`, [(await contactSheet(rows, {headings})).bytes]);
    for (const [i, prompt] of prompts.slice(0, IN_EVENTS).entries()) {
      await events.image(iteration, `samples/${prompt.text}`, await animatedGif(clipOf(now, i)));
    }
  };
}
