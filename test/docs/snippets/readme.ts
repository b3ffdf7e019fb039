/** The README's example of library use, so that it is type-checked; running it would take two minutes. */
import {createRunFolder, ddpo, runTuning, tuneConfig} from '../../../src/index.js';

const summary = await runTuning({
  config: tuneConfig(ddpo, {reward: 'judge', minutes: 2, samplesPerPrompt: 8}),
  folder: await createRunFolder('runs/mine', {force: false}),
  report: (event) => {
    if (event.kind === 'iteration') console.log(event.iteration, event.metrics['reward/mean']);
  },
});
console.log(summary.evaluation?.difference); // {mean, low, high}: after − before on held-out prompts
