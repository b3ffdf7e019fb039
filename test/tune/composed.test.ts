/** Runs whose reward is composed: a curve and a comparison for each part, and the judge as a yardstick beside them. */
import {expect} from 'chai';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {ddpo} from '../../algorithms/ddpo.js';
import {gaussianToy} from '../../environments/gaussianToy.js';
import {ConfigError} from '../../src/errors.js';
import {readMetrics} from '../../src/run/metrics.js';
import {createRunFolder, type RunFolder} from '../../src/run/runFolder.js';
import type {RunSummary} from '../../src/run/summary.js';
import {writeWeights} from '../../src/run/weights.js';
import type {Algorithm} from '../../src/algorithm.js';
import type {TuneEvent} from '../../src/tune/events.js';
import {runTuning} from '../../src/tune/open.js';
import {tuneConfig} from '../../src/tune/schema.js';
import {rejection, temporaryFolder} from '../support/files.js';
import {nano, noisyWeights} from '../support/nano.js';
import {runCommand} from '../support/runCommand.js';

/** The world without a judge is the quick one. */
const toy = {environment: 'gaussianToy', preset: 'pixel'};
const judgedWorld = {environment: 'fluentClips', preset: 'nano'};
const sizes = {
  threads: 1,
  iterations: 1,
  promptsPerIteration: 2,
  samplesPerPrompt: 2,
  samplingSteps: 3,
  windowSize: 0,
  evaluation: {prompts: 4, steps: 2},
  sampleEvery: 0,
};

describe('a run with a composed reward', function () {
  this.timeout(120_000);
  const folder = temporaryFolder();
  const paramsOf = ({environment}: typeof toy) =>
    environment === 'gaussianToy' ? gaussianToy().initialise(0) : noisyWeights(nano);

  async function run(reward: string, world = toy): Promise<{summary: RunSummary; events: TuneEvent[]; folder: RunFolder}> {
    const events: TuneEvent[] = [];
    const where = await createRunFolder(folder(), {force: true});
    const config = tuneConfig(ddpo, {...sizes, ...world, reward});
    const summary = await runTuning({config, params: paramsOf(world), folder: where, report: (event) => events.push(event)});
    return {summary, events, folder: where};
  }
  const metricsOf = ({evaluation, otherEvaluations}: RunSummary): string[] =>
    [...(evaluation ? [evaluation] : []), ...otherEvaluations].map(({metric}) => metric);
  const judged = ['judge/total', 'judge/quality', 'judge/semantic', 'judge/strict'];

  it('logs and compares each part, tells its card first, and keeps the judge as a yardstick', async () => {
    const {summary, events, folder: where} = await run('2*brightness - nearTarget', judgedWorld);
    const [row] = await readMetrics(where.metrics);
    expect(row['reward/mean']).to.be.closeTo(2 * row['reward/brightness']! - row['reward/nearTarget']!, 1e-5);
    expect(metricsOf(summary)).to.deep.equal(['reward/mean', 'reward/brightness', 'reward/nearTarget', ...judged]);
    const [before, bright, near] = [summary.evaluation!, ...summary.otherEvaluations].map((e) => e.before);
    expect(before).to.be.closeTo(2 * bright - near, 1e-5);
    const [first] = events;
    expect(first.kind === 'reward' && first.card.parts.map(({name}) => name)).to.deep.equal(['brightness', 'nearTarget']);
  });

  it('compares only the parts where the whole is relative to the samples of a prompt', async () => {
    const {summary, folder: where} = await run('groupNormalise(brightness) + groupNormalise(nearTarget)');
    expect(metricsOf(summary)).to.deep.equal(['reward/brightness', 'reward/nearTarget']);
    const [row] = await readMetrics(where.metrics);
    expect(row['reward/mean']).to.be.closeTo(0, 1e-5);
    expect(row['reward/groupStd']).to.be.above(0.5);
  });

  it('logs no parts of a reward that has none', async () => {
    const [row] = await readMetrics((await run('brightness')).folder.metrics);
    expect(Object.keys(row).filter((name) => name.startsWith('reward/'))).to.deep.equal(
      ['mean', 'std', 'min', 'max', 'groupStd'].map((name) => `reward/${name}`),
    );
  });

  it('is refused by an algorithm that needs a gradient, with the name of the part that has none', async () => {
    const algorithm: Algorithm = {...(ddpo as unknown as Algorithm), needs: {differentiableReward: true}};
    const config = tuneConfig(ddpo, {...sizes, ...judgedWorld, reward: 'brightness + judge'});
    const error = await rejection(
      runTuning({config, params: paramsOf(judgedWorld), algorithm, folder: await createRunFolder(folder(), {force: true})}),
    );
    expect(error).to.be.instanceOf(ConfigError);
    expect(error.message).to.equal('algorithm "ddpo" needs a differentiable reward; "judge" is not.');
  });

  it('takes rewards of ones own by name from the command line, shows their values, and goes on with them', async () => {
    const file = join(folder(), 'mine.mjs');
    const score = 'async (videos, prompts) => Float32Array.from(prompts, (_, i) => videos.data[i])';
    writeFileSync(
      file,
      `export const first = {name: 'first', unit: '1', summary: 'the first pixels', open: async () => ({name: 'first', unit: '1', score: ${score}})};`,
    );
    const weights = join(folder(), 'weights.safetensors');
    await writeWeights(weights, paramsOf(toy));
    const output = join(folder(), 'run');
    const settings = Object.entries({...sizes, ...toy, evaluation: undefined}).flatMap(([key, value]) =>
      value === undefined ? [] : ['--set', `${key}=${value}`],
    );
    const words = [
      ...settings,
      '--evaluation-prompts',
      '2',
      '--evaluation-steps',
      '2',
      '--policy',
      weights,
      '--output-dir',
      output,
    ];
    const own = ['--reward', 'brightness + 0.1*mine', '--set', `rewards.mine=${file}#first`];
    const begun = await runCommand(['run', 'ddpo', ...own, ...words]);
    expect(begun.code, begun.stderr).to.equal(0);
    expect(begun.stderr).to.match(/^reward brightness \+ 0\.1\*mine: [^\n]+\n {2}reward brightness: [^\n]+\n {2}reward mine: /);
    expect(begun.stderr).to.match(/\niteration 1 {2}reward \S+ {2}brightness \S+ {2}mine \S+ {2}spread /);
    const resumed = await runCommand(['run', 'ddpo', '--resume', output, '--iterations', '2']);
    expect(resumed.code, resumed.stderr).to.equal(0);
    const rows = await readMetrics(join(output, 'metrics.jsonl'));
    expect(rows.map((row) => [row.iteration, typeof row['reward/mine']])).to.deep.equal([
      [1, 'number'],
      [2, 'number'],
    ]);
  });
});
