import {expect} from 'chai';
import {readFileSync, readdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {writeWeights} from '../../src/run/weights.js';
import type {Study} from '../../src/study/study.js';
import {float32} from '../../src/tensor/ndarray.js';
import {temporaryFolder} from '../support/files.js';
import {nano, noisyWeights} from '../support/nano.js';
import {offZero} from '../support/pico.js';
import {runCommand} from '../support/runCommand.js';

describe('rlft study', function () {
  this.timeout(240_000);
  const folder = temporaryFolder();

  /** Runs a study of an encoder that has learnt nothing: what is looked at is that everything is there. */
  async function study(name: string, flags: readonly string[]): Promise<{study: Study; output: string}> {
    const [weights, output] = [join(folder(), 'encoder.safetensors'), join(folder(), name)];
    const module = nano.encoders![0];
    await writeWeights(weights, offZero(module.initialise(0), 0.1), {metadata: {encoder: module.name}});
    const shared = ['--preset', 'nano', '--encoder', weights, '--draws', '100', '--output-dir', output, '--json'];
    const {code, stdout, stderr} = await runCommand(['study', name, ...shared, ...flags]);
    expect(code, stderr).to.equal(0);
    const found = JSON.parse(stdout) as Study;
    expect(JSON.parse(readFileSync(join(output, 'study.json'), 'utf8'))).to.deep.equal(found);
    expect(readdirSync(output)).to.include.members([...(found.pictures as unknown as string[]), 'config.yaml', 'run.json']);
    expect(found.name).to.equal(name);
    for (const {verdict} of found.claims) expect(verdict).to.be.oneOf(['confirmed', 'refuted', 'undecided']);
    return {study: found, output};
  }

  it('matching: a row for each kind of attention, a table by kind of wrong caption', async () => {
    const {study: found} = await study('matching', ['--items', '40', '--solver', 'unbalanced']);
    const [arms, kinds] = found.tables;
    expect(arms.rows.length).to.equal(13);
    expect(arms.rows[0]).to.include({attention: 'vanilla'});
    const over = arms.rows.map((row) => row['AUC over vanilla'] as {mean: number});
    expect(over[0].mean).to.equal(0);
    expect(over.some(({mean}) => mean !== 0)).to.equal(true);
    expect(kinds.rows.map((row) => row['kind'])).to.have.members(nano.encoderProbes!.kinds);
    expect(found.claims.length).to.equal(10);
    expect(found.pictures).to.deep.equal(['masses.png']);
  });

  it('costs: a row for each pair of weights', async () => {
    const {study: found} = await study('costs', ['--items', '40', '--solver', 'balanced', '--weights', '[0, 0.2, 0.7]']);
    expect(found.tables[0].rows.length).to.equal(9);
    expect(new Set(found.tables[0].rows.map((row) => JSON.stringify(row['AUC']))).size).to.be.above(5);
    expect(found.pictures).to.deep.equal(['accuracy.png', 'auc.png']);
  });

  it('attention: measures and pictures', async () => {
    const {study: found} = await study('attention', ['--items', '20', '--shown', '2']);
    const spread = found.tables[0].rows.map((row) => (row['spread'] as {mean: number}).mean);
    for (const share of spread) expect(share).to.be.within(0, 1.0001);
    expect(new Set(spread).size).to.equal(5);
    expect(found.pictures).to.deep.equal(['attention-0.png', 'attention-1.png']);
  });

  it('alignment: all maps, attributes, and the ranking of samples', async () => {
    const policy = join(folder(), 'policy.safetensors');
    await writeWeights(policy, noisyWeights(nano), {});
    const fit = ['--pairs', '64', '--held-out', '48', '--neighbours', '5', '--plan-size', '64'];
    const plan = ['--steps', '2', '--hidden', '8', '--batch', '8', '--map-updates', '2'];
    const ranked = ['--prompts', '5', '--samples', '4', '--sampling-steps', '2', '--policy', policy];
    const {study: found, output} = await study('alignment', [...fit, ...plan, ...ranked]);
    const [maps, attributes] = found.tables;
    expect(maps.rows.map((row) => row['map'])).to.deep.equal([
      'identity',
      'l2',
      'kl',
      'moments',
      'neural',
      'bures',
      'entropic',
      'procrustes',
    ]);
    expect((maps.rows[0]['structure'] as {mean: number}).mean).to.be.closeTo(1, 1e-9);
    expect(maps.rows[0]['τ total']).to.have.keys('mean', 'low', 'high');
    expect(attributes.rows.filter((row) => row['map'] === 'neural').map((row) => row['attribute'])).to.include.members([
      'noun',
      'color',
    ]);
    expect(found.claims.map(({name}) => name)).to.deep.equal(['neighbours', 'neighbours over none', 'structure', 'ranking']);
    expect(readdirSync(output)).to.include.members(['map-neural.safetensors', 'map-bures.safetensors']);
  });

  it('gradients: cosines of every pair, and a picture', async () => {
    const policy = join(folder(), 'policy.safetensors');
    await writeWeights(policy, noisyWeights(nano), {});
    const map = join(folder(), 'map.safetensors');
    const width = nano.encoders![0].encoder.embeddingWidth;
    const shift = float32(new Float32Array(width).fill(0.3));
    const matrix = float32(
      Float32Array.from({length: width ** 2}, (_, i) => Number(i % (width + 2) === 0)),
      [width, width],
    );
    await writeWeights(map, {matrix, shift}, {metadata: {map: 'bures'}});
    const flags = ['--policy', policy, '--transport', map, '--batches', '10', '--clips', '2'];
    const {study: found} = await study('gradients', flags);
    expect(found.tables[0].rows.map((row) => row['gradients'])).to.deep.equal([
      'quality, semantic',
      'similarity, matching',
      'quality, good clips',
      'semantic, good clips',
      'similarity, good clips',
      'matching, good clips',
    ]);
    for (const row of found.tables[0].rows) expect(Math.abs((row['cosine'] as {mean: number}).mean)).to.be.within(1e-7, 1);
    expect(found.claims.length).to.equal(4);
    expect(found.pictures).to.deep.equal(['cosines.png']);
  });

  it('ranking: a row for each reward, one of your own among them', async () => {
    const [policy, mine] = [join(folder(), 'policy.safetensors'), join(folder(), 'mine.mjs')];
    await writeWeights(policy, noisyWeights(nano), {});
    writeFileSync(
      mine,
      `export const bright = {name: 'bright', unit: 'brightness', summary: 'The first value of a clip.', open: async () => ({name: 'bright', unit: 'brightness',
        score: async (videos, prompts) => Float32Array.from(prompts, (_, i) => videos.data[i * videos.data.length / prompts.length])})};`,
    );
    const compared = ['--compared', '["similarity", "matching + 0.1*mine"]', '--set', `rewards.mine=${mine}#bright`];
    const plan = ['--prompts', '4', '--samples', '3', '--sampling-steps', '2', '--policy', policy];
    const {study: found} = await study('ranking', [...compared, ...plan]);
    expect(found.tables[0].rows.map((row) => row['reward'])).to.deep.equal(['similarity', 'matching + 0.1*mine']);
    for (const row of found.tables[0].rows) expect((row['τ total'] as {mean: number}).mean).to.be.within(-1, 1);
    expect(found.claims.length).to.equal(2);
  });

  const wrong: [string[], RegExp][] = [
    [['study'], /^rlft: study: wanted what to study, matching, .*; got nothing\.\n$/],
    [['study', 'matchin'], /unknown study "matchin"; did you mean "matching"\?/],
    [['study', 'matching', '--items', '3'], /--items: wanted a whole number ≥ 10; got 3\./],
    [['study', 'costs', '--solver', 'balanced', '--mass', '0.5'], /mass: has no effect in this study/],
    [['study', 'costs', '--weights', '[0, 0.1]'], /weights: wanted different ones, 0 and 0\.2 among them; got 0, 0\.1\./],
    [['study', 'alignment', '--prompts', '0', '--samples', '4'], /samples: has no effect in this study: prompts is 0/],
    [
      ['study', 'ranking', '--compared', '["semantic", "semantic"]'],
      /compared: wanted different rewards; got "semantic" twice\./,
    ],
    [['study', 'ranking', '--compared', '["semantic"]', '--margin', '0.5'], /margin: has no effect in this study/],
    [['study', 'ranking', '--set', 'rewards.mine=./mine.ts'], /rewards\.mine: has no effect in this study/],
    [['study', 'ranking', '--compared', '["semantik"]'], /unknown reward "semantik"; did you mean "semantic"\?/],
    [['study', 'matching', '--environment', 'gaussianToy', '--preset', 'pixel'], /gaussianToy has none/],
  ];
  for (const [args, message] of wrong) {
    it(`answers ${args.join(' ')} with one line`, async () => {
      const {code, stdout, stderr} = await runCommand(args);
      expect(stderr).to.match(message);
      expect(stderr.trimEnd().split('\n').length).to.equal(1);
      expect([code, stdout]).to.deep.equal([2, '']);
    });
  }

  it('prints tables for people', async () => {
    const weights = join(folder(), 'encoder.safetensors');
    const module = nano.encoders![0];
    await writeWeights(weights, offZero(module.initialise(0), 0.1), {metadata: {encoder: module.name}});
    const flags = ['--preset', 'nano', '--encoder', weights, '--items', '12', '--draws', '100', '--shown', '0'];
    const {stdout} = await runCommand(['study', 'attention', ...flags, '--output-dir', join(folder(), 'out')]);
    expect(stdout).to.match(/^PISCES, figure 9\n\nshare of the video tokens/);
    expect(stdout).to.match(/\n {2}vanilla +0\.\d{4} \[0\.\d{4}, 0\.\d{4}\] +-\n/);
    expect(stdout).to.match(/\? (confirmed|refuted|undecided)\n$/);
  });
});
