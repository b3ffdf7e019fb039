/** What a run does between two iterations is done before the next one begins: it looks at weights that must not move meanwhile. */
import {expect} from 'chai';
import {ddpo} from '../../algorithms/ddpo.js';
import type {RewardModule} from '../../src/reward.js';
import {createRunFolder} from '../../src/run/runFolder.js';
import {runTuning} from '../../src/tune/open.js';
import {tuneConfig} from '../../src/tune/schema.js';
import {flatColoursModule} from '../docs/snippets/flatColours.js';
import {temporaryFolder} from '../support/files.js';

describe('runTuning', function () {
  this.timeout(120_000);
  const folder = temporaryFolder();

  it('evaluates and saves between iterations, and begins none that is not reported', async () => {
    const happened: string[] = [];
    const listening: RewardModule = {
      name: 'listening',
      unit: '1',
      summary: 'notes what it is asked for',
      open: async () => ({
        name: 'listening',
        unit: '1',
        score: async (videos, prompts) => {
          happened.push(`scored ${prompts[0].id.split('-')[0]}`);
          return Float32Array.from(prompts, (_, i) => videos.data[i] + i);
        },
      }),
    };
    const world = flatColoursModule.open('tiny');
    const summary = await runTuning({
      config: tuneConfig(ddpo, {
        environment: 'flatColours',
        preset: 'tiny',
        reward: 'listening',
        iterations: 2,
        promptsPerIteration: 1,
        samplesPerPrompt: 4,
        samplingSteps: 3,
        evaluation: {prompts: 2, steps: 2, every: 1},
        checkpointEvery: 1,
        sampleEvery: 0,
      }),
      environment: world,
      params: world.initialise(0),
      reward: listening,
      folder: await createRunFolder(folder(), {force: true}),
      report: (event) => {
        if (event.kind === 'iteration') happened.push(`iteration ${event.iteration}`);
        if (event.kind === 'compared') happened.push(`compared ${event.iteration}`);
        if (event.kind === 'ended') happened.push('ended');
      },
    });
    expect(happened).to.deep.equal([
      // The card of the reward scores its fixed clips twice; then comes the evaluation before.
      ...['scored heldOut', 'scored heldOut', 'scored heldOut'],
      ...['scored train', 'iteration 1', 'scored heldOut', 'compared 1'],
      ...['scored train', 'iteration 2', 'scored heldOut', 'compared 2'],
      'scored heldOut',
      'ended',
    ]);
    expect(summary.iterations).to.equal(2);
  });
});
