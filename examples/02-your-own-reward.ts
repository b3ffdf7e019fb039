/**
 * A reward of your own, passed to a run as a value: nothing has to be registered.
 *
 *   node --import tsx examples/02-your-own-reward.ts
 *
 * The policy is untrained (see 01-first-run.ts), so two iterations show that the reward is asked and learnt from, not that
 * videos turn red. docs/adding-a-reward.md tells the same in five steps.
 */
// In a project of your own: from 'rlft'.
import {createRunFolder, ddpo, fluentClips, readMetrics, runTuning, sizeOf, tuneConfig, type RewardModule} from '../src/index.js';

/** How much more red than green and blue a video is: -1 (cyan) to 1 (pure red). */
const redness: RewardModule = {
  name: 'redness',
  unit: '1',
  summary: 'red less the mean of green and blue: an example',
  open: async () => ({
    name: 'redness',
    unit: '1',
    // videos [B, F, H, W, 3] in [-1, 1] → one number a video.
    score: async (videos) => {
      const size = sizeOf(videos.shape.slice(1));
      return Float32Array.from({length: videos.shape[0]}, (_, video) => {
        let sum = 0;
        for (let i = video * size; i < (video + 1) * size; i += 3) {
          const [red, green, blue] = videos.data.subarray(i, i + 3);
          sum += (red - (green + blue) / 2) / 2;
        }
        return sum / (size / 3);
      });
    },
  }),
};

const folder = await createRunFolder('runs/example-02', {force: true});
const summary = await runTuning({
  config: tuneConfig(ddpo, {
    preset: 'nano',
    reward: 'redness',
    iterations: 2,
    promptsPerIteration: 2,
    samplesPerPrompt: 4,
    samplingSteps: 4,
    evaluation: {prompts: 4, steps: 4},
  }),
  folder,
  reward: redness,
  params: fluentClips('nano').initialise(0),
});

for (const row of await readMetrics(folder.metrics)) {
  console.log(`iteration ${row.iteration}: redness ${row['reward/mean']?.toFixed(4)} (±${row['reward/std']?.toFixed(4)})`);
}
console.log(`held out: ${summary.evaluation?.before.toFixed(4)} before, ${summary.evaluation?.after.toFixed(4)} after`);
