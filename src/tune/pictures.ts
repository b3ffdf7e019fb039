/** Pictures of a run: the same prompts and the same noise at every stage, beside what the policy drew before. */
import {join} from 'node:path';
import type {Environment} from '../environment.js';
import type {ResidentLearner} from '../learn/learner.js';
import {odeTable} from '../numeric/samplers/named.js';
import {animatedGif, animatedSheet, clipOf, contactSheet, toBytes} from '../report/pictures.js';
import type {Generator} from '../rollout/generate.js';
import type {RunFolder} from '../run/runFolder.js';
import type {EventFile} from '../run/tensorboard.js';
import {writeAtomically} from '../run/writeAtomically.js';

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
  readonly iteration: number;
  readonly steps: number;
  readonly seed: number;
}

/** Writes `samples/00000012.webp` (moving) and `.png` (frames): before on the left, now on the right. */
export async function writePictures({
  folder,
  environment,
  generate,
  learner,
  events,
  iteration,
  steps,
  seed,
}: PictureParts): Promise<void> {
  const prompts = environment.prompts('heldOut', SHOWN);
  const request = {prompts, samples: 1, table: odeTable(steps), seed, iteration: 0, purpose: 'evaluation', sharedStart: false};
  const before = toBytes((await generate(learner.reference, request)).videos);
  const now = iteration === 0 ? before : toBytes((await generate(learner.averaged, request)).videos);
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
}
