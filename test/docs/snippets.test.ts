/** TypeScript in the documents is TypeScript that is checked: each block stands in a file of examples/ or test/docs/snippets/. */
import type {Tensor} from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import type {RewardContext} from '../../src/reward.js';
import {createRunFolder} from '../../src/run/runFolder.js';
import {ndarray, sizeOf, type NdArray} from '../../src/tensor/ndarray.js';
import {uniforms} from '../../src/tensor/random.js';
import {runTuning} from '../../src/tune/open.js';
import {tuneConfig} from '../../src/tune/schema.js';
import {bareContext} from '../support/bareContext.js';
import {documents, filesOf, read} from '../support/documents.js';
import {runEagerly} from '../support/eager.js';
import {temporaryFolder} from '../support/files.js';
import {openTestDevice} from '../support/toy.js';
import {flatColoursModule} from './snippets/flatColours.js';
import {redness} from './snippets/redness.js';
import {reinforce} from './snippets/reinforce.js';

/** Source as a user of the package writes it: imports by package name. */
const asUser = (source: string): string =>
  source.replace(/'(?:\.\.\/)+src\/(index|plugin|conformance)\.js'/g, (_, name: string) =>
    name === 'index' ? "'rlft'" : `'rlft/${name}'`,
  );

const blocksOf = (page: string): {page: string; block: string}[] =>
  Array.from(read(page).matchAll(/```ts\n([\s\S]*?)```/g), ([, block]) => ({page, block: block.trim()}));

describe('TypeScript in the documents', () => {
  const checked = [...filesOf('examples', '.ts'), ...filesOf('test/docs/snippets', '.ts')].map((path) => asUser(read(path)));
  // Pages that show a design rather than code to be copied.
  const pages = documents().filter((page) => page === 'README.md' || page.startsWith('docs/adding-'));

  it('stands word for word in a file that is type-checked', () => {
    const blocks = pages.flatMap(blocksOf);
    expect(blocks.length).to.be.at.least(7);
    const loose = blocks.filter(({block}) => !checked.some((source) => source.includes(block)));
    expect(loose.map(({page, block}) => `${page}: ${block.split('\n')[0]}`)).to.deep.equal([]);
  });
});

describe('plug-ins of the documents', function () {
  this.timeout(120_000);
  const folder = temporaryFolder();
  const world = flatColoursModule.open('tiny');
  let context: RewardContext;
  before(async () => {
    context = bareContext(world, await openTestDevice());
  });
  after(() => context.device.close());

  it('redness is 1 for red, -1 for cyan, 0 for grey', async () => {
    const shape = [3, 2, 4, 4, 3];
    const colours = [
      [1, -1, -1],
      [-1, 1, 1],
      [0.4, 0.4, 0.4],
    ];
    const size = sizeOf(shape.slice(1));
    const data = Float32Array.from({length: 3 * size}, (_, i) => colours[Math.floor(i / size)][i % 3]);
    const reward = await redness.open(context);
    const scores = Array.from(await reward.score(ndarray('float32', shape, data), world.prompts('train', 3)));
    [1, -1, 0].forEach((wanted, i) => expect(scores[i]).to.be.closeTo(wanted, 1e-6));
  });

  it('redness scores the same by its differentiable form', async () => {
    const shape = [4, 2, 4, 4, 3];
    const data = uniforms({seed: 1, purpose: 'test'}, new Float32Array(sizeOf(shape))).map((u) => 2 * u - 1);
    const reward = await redness.open(context);
    const video = ndarray('float32', shape, data);
    const scores = await reward.score(video, world.prompts('train', 4));
    const found = runEagerly((inputs) => ({score: reward.differentiable!.score({}, inputs['video'] as Tensor, {})}), {video});
    scores.forEach((score, i) => expect(score).to.be.closeTo((found['score'] as NdArray).data[i], 1e-6));
  });

  for (const seed of [1, 2, 3]) {
    it(`reinforce makes the videos of flatColours brighter (seed ${seed})`, async () => {
      const summary = await runTuning({
        config: tuneConfig(reinforce, {
          environment: 'flatColours',
          preset: 'tiny',
          reward: 'brightness',
          iterations: 10,
          promptsPerIteration: 4,
          samplesPerPrompt: 8,
          samplingSteps: 4,
          learningRate: 0.02,
          evaluation: {prompts: 4, steps: 2},
          sampleEvery: 0,
          seed,
        }),
        algorithm: reinforce,
        environment: world,
        params: world.initialise(0),
        folder: await createRunFolder(folder(), {force: true}),
      });
      expect(summary.evaluation!.difference.low).to.be.greaterThan(0.02);
    });
  }
});
