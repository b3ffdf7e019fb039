/**
 * A reward composed of others, one of them your own: each part keeps a curve and a comparison of its own.
 *
 *   node --import tsx examples/04-compose-rewards.ts
 *
 * On the command line the same is `rlft run ddpo --reward "0.7*brightness + 0.3*contrast" --set rewards.contrast=./mine.ts#contrast`.
 */
// In a project of your own: from 'rlft'.
import {
  brightness,
  composeReward,
  createRunFolder,
  ddpo,
  fluentClips,
  readMetrics,
  runTuning,
  sizeOf,
  tuneConfig,
} from '../src/index.js';
import type {RewardModule} from '../src/index.js';

/** Deviation of a video's numbers, 0 (one grey) to 1 (black and white). */
const contrast: RewardModule = {
  name: 'contrast',
  unit: '1',
  summary: 'deviation of all numbers: an example',
  open: async () => ({
    name: 'contrast',
    unit: '1',
    score: async (videos) => {
      const size = sizeOf(videos.shape.slice(1));
      return Float32Array.from({length: videos.shape[0]}, (_, video) => {
        const numbers = videos.data.subarray(video * size, (video + 1) * size);
        const mean = numbers.reduce((sum, x) => sum + x, 0) / size;
        return Math.sqrt(numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0) / size);
      });
    },
  }),
};

const reward = composeReward('0.7*brightness + 0.3*clip(contrast, 0, 0.5)', [brightness, contrast]);
const folder = await createRunFolder('runs/example-04', {force: true});
const summary = await runTuning({
  config: tuneConfig(ddpo, {
    preset: 'nano',
    reward: reward.name,
    iterations: 2,
    promptsPerIteration: 2,
    samplesPerPrompt: 4,
    samplingSteps: 4,
    evaluation: {prompts: 4, steps: 4},
  }),
  folder,
  reward,
  params: fluentClips('nano').initialise(0),
});

for (const row of await readMetrics(folder.metrics)) {
  const parts = ['brightness', 'contrast'].map((name) => `${name} ${row[`reward/${name}`]?.toFixed(4)}`);
  console.log(`iteration ${row.iteration}: ${parts.join(', ')}; together ${row['reward/mean']?.toFixed(4)}`);
}
for (const {metric, before, after} of [summary.evaluation!, ...summary.otherEvaluations])
  console.log(`held out: ${metric} ${before.toFixed(4)} before, ${after.toFixed(4)} after`);
