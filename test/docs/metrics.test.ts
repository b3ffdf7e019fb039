/** Every metric that is logged has a row that says what bad values mean. */
import {expect} from 'chai';
import {ddpo} from '../../algorithms/ddpo.js';
import {direct} from '../../algorithms/direct.js';
import {nft} from '../../algorithms/nft.js';
import type {Algorithm} from '../../src/algorithm.js';
import {dpo} from '../../algorithms/dpo.js';
import {grpo} from '../../algorithms/grpo.js';
import {sft} from '../../algorithms/sft.js';
import {fluentClips} from '../../environments/fluentClips/fluentClips.js';
import {brightness} from '../../rewards/brightness.js';
import {nearTarget} from '../../rewards/nearTarget.js';
import type {RewardModule} from '../../src/reward.js';
import {composeReward} from '../../src/rewards/composeReward.js';
import {createRunFolder} from '../../src/run/runFolder.js';
import {readMetrics} from '../../src/run/metrics.js';
import {runTuning} from '../../src/tune/open.js';
import {tuneConfig} from '../../src/tune/schema.js';
import {read, sources} from '../support/documents.js';
import {temporaryFolder} from '../support/files.js';
import {flatColoursModule} from './snippets/flatColours.js';

/** First cells of the rows that begin with a metric's name. */
const described = (page: string): string[] =>
  Array.from(read(page).matchAll(/^\| `((?:reward|policy|time|train)\/\w+)` \|/gm), ([, name]) => name).sort();

describe('logged metrics', function () {
  this.timeout(120_000);
  const folder = temporaryFolder();

  /** Names that one small iteration of an algorithm logs. */
  async function loggedBy(
    algorithm: Algorithm,
    options: Readonly<Record<string, unknown>>,
    reward?: RewardModule,
  ): Promise<string[]> {
    const world = flatColoursModule.open('tiny');
    const run = await createRunFolder(folder(), {force: true});
    await runTuning({
      config: tuneConfig(algorithm, {
        environment: 'flatColours',
        preset: 'tiny',
        reward: reward?.name ?? 'brightness',
        iterations: 1,
        promptsPerIteration: 2,
        samplesPerPrompt: 2,
        samplingSteps: 3,
        evaluation: {prompts: 2, steps: 2},
        ...options,
      }),
      environment: world,
      params: world.initialise(0),
      ...(reward && {reward}),
      folder: run,
    });
    const [row] = await readMetrics(run.metrics);
    return Object.keys(row)
      .filter((name) => name !== 'iteration')
      .sort();
  }

  it('of DDPO with all its terms are the rows of its page', async () => {
    const logged = await loggedBy(ddpo, {klCoefficient: 0.1, anchorCoefficient: 0.1, overlapRollouts: true});
    expect(logged).to.deep.equal(described('docs/algorithms/ddpo.md'));
  });

  it('of DiffusionNFT with all its terms are rows of its page, or of that of DDPO where both log them', async () => {
    const logged = await loggedBy(nft, {klCoefficient: 0.1, oldPolicy: 'lagging'});
    const own = described('docs/algorithms/nft.md');
    const shared = described('docs/algorithms/ddpo.md').filter((name) => /^(reward|time)\//.test(name));
    expect(logged).to.deep.equal([...own, ...shared].sort());
  });

  it('of DPO are rows of its page, or of that of DDPO where every run logs them', async () => {
    const shared = described('docs/algorithms/ddpo.md').filter((name) => /^(reward|time)\//.test(name));
    expect(await loggedBy(dpo, {})).to.deep.equal([...described('docs/algorithms/dpo.md'), ...shared].sort());
  });

  it('of SFT are rows of its page, and times; no reward is among them', async () => {
    const run = await createRunFolder(folder(), {force: true});
    const environment = fluentClips('nano');
    const small = {iterations: 1, clipsPerIteration: 2, evaluation: {prompts: 2, steps: 2}, sampleEvery: 0, threads: 1};
    await runTuning({
      config: tuneConfig(sft, {environment: 'fluentClips', preset: 'nano', reward: 'brightness', ...small}),
      params: environment.initialise(0),
      folder: run,
    });
    const [row] = await readMetrics(run.metrics);
    const times = described('docs/algorithms/ddpo.md').filter((name) => name.startsWith('time/'));
    const logged = Object.keys(row).filter((name) => name !== 'iteration');
    expect(logged.sort()).to.deep.equal([...described('docs/algorithms/sft.md'), ...times].sort());
  });

  it('of direct with all its terms are the rows of its page', async () => {
    expect(await loggedBy(direct, {distillationWeight: 1})).to.deep.equal(described('docs/algorithms/direct.md'));
  });

  it('of GRPO with all its terms are the rows of its page, and those that it shares with DDPO', async () => {
    const reward = composeReward('brightness + nearTarget', [brightness, nearTarget]);
    const logged = new Set<string>();
    for (const options of [
      {objective: 'dppo', minibatches: 2, klCoefficient: 0.1, klTarget: 1, anchorCoefficient: 0.1, distillationWeight: 1},
      {combination: 'constrained', floors: {nearTarget: 0}},
    ]) {
      for (const name of await loggedBy(grpo, options, reward)) logged.add(name);
    }
    const own = described('docs/algorithms/grpo.md');
    expect(own.filter((name) => !logged.has(name))).to.deep.equal([]);
    expect(read('docs/algorithms/grpo.md')).to.include('`policy/multiplier/<name>`');
    const known = [...own, ...described('docs/algorithms/ddpo.md'), 'policy/multiplier/nearTarget'];
    const parts = ['reward/brightness', 'reward/nearTarget'];
    expect([...logged].filter((name) => ![...known, ...parts].includes(name))).to.deep.equal([]);
  });

  it('that the source names are rows of some page', () => {
    const named = new Set(
      sources().flatMap((file) => Array.from(read(file).matchAll(/'((?:reward|policy|time|train)\/\w+)'/g), ([, name]) => name)),
    );
    const pages = [
      'docs/algorithms/ddpo.md',
      'docs/algorithms/grpo.md',
      'docs/algorithms/nft.md',
      'docs/algorithms/dpo.md',
      'docs/run-folder.md',
    ];
    const rows = pages.flatMap(described);
    expect(named.size).to.be.greaterThan(10);
    expect([...named].filter((name) => !rows.includes(name))).to.deep.equal([]);
  });
});
