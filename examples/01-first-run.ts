/**
 * A fine-tuning run from a program: DDPO on the smallest world, two iterations, a few seconds.
 *
 *   node --import tsx examples/01-first-run.ts
 *
 * The preset `nano` ships no weights. The policy starts from random ones drawn from a seed: it is untrained and its videos are
 * noise, so the run shows the machinery and nothing else. Leave `params` out and write `preset: 'mini'` to tune the policy that
 * ships, which draws what it is told.
 */
// In a project of your own: from 'rlft'.
import {createRunFolder, ddpo, fluentClips, runTuning, tuneConfig} from '../src/index.js';

const config = tuneConfig(ddpo, {
  preset: 'nano',
  reward: 'brightness',
  iterations: 2,
  promptsPerIteration: 2,
  samplesPerPrompt: 4,
  samplingSteps: 4,
  evaluation: {prompts: 4, steps: 4},
});

const summary = await runTuning({
  config,
  folder: await createRunFolder('runs/example-01', {force: true}),
  params: fluentClips('nano').initialise(0),
  report: (event) => {
    if (event.kind === 'iteration')
      console.log(`iteration ${event.iteration}: mean reward ${event.metrics['reward/mean'].toFixed(4)}`);
  },
});

if (summary.evaluation === null) throw new Error(`the run ended as ${summary.status}`);
const {metric, before, after, difference} = summary.evaluation;
console.log(`${metric} on held-out prompts: ${before.toFixed(4)} before, ${after.toFixed(4)} after`);
console.log(`difference, paired 95 % interval: ${difference.low.toFixed(5)} to ${difference.high.toFixed(5)}`);
console.log('pictures, metrics and weights: runs/example-01');
