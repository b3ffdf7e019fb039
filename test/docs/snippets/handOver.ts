/** How plug-ins are handed to a run: the one-line examples of docs/adding-*.md, type-checked. */
import {createRunFolder, ddpo, runTuning, tuneConfig} from '../../../src/index.js';
import {flatColoursModule} from './flatColours.js';
import {redness} from './redness.js';
import {reinforce} from './reinforce.js';

const folder = await createRunFolder('runs/mine', {force: true});

await runTuning({config: tuneConfig(ddpo, {reward: 'redness'}), folder, reward: redness});

const world = flatColoursModule.open('tiny');
await runTuning({
  config: tuneConfig(ddpo, {environment: 'flatColours', preset: 'tiny', reward: 'brightness'}),
  environment: world,
  params: world.initialise(0),
  folder,
});

await runTuning({config: tuneConfig(reinforce, {minutes: 2}), algorithm: reinforce, folder});
