/**
 * Videos for captions: animated WebP files and one sheet of all.
 *
 *   node --import tsx examples/03-sample.ts
 *
 * The weights are drawn from a seed, untrained, so the videos are noise. With `preset: 'mini'` and `policy: 'shipped'` they are
 * drawn by the policy that ships; with the path of a run's policy.safetensors by the policy that the run tuned.
 */
import {mkdir} from 'node:fs/promises';
// In a project of your own: from 'rlft'.
import {fluentClips, sample, writeWeights} from '../src/index.js';

const outputDir = 'runs/example-03';
const policy = `${outputDir}/policy.safetensors`;
await mkdir(outputDir, {recursive: true});
await writeWeights(policy, fluentClips('nano').initialise(0));

const {videos, sheet} = await sample({
  environment: 'fluentClips',
  preset: 'nano',
  policy,
  texts: ['a red cat moving right on the grass', 'a blue star standing still at night'],
  count: 2,
  steps: 4,
  guidanceScale: 1,
  seed: 0,
  device: 'cpu',
  threads: 0,
  outputDir,
});

for (const {text, file} of videos) console.log(`${file}  ${text}`);
console.log(`all frames of all videos: ${sheet}`);
