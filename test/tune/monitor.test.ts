/** The monitor in real runs: one that hacks its reward, one that is calm, one that is broken off. */
import {expect} from 'chai';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {direct} from '../../algorithms/direct.js';
import {readMetrics} from '../../src/run/metrics.js';
import {createRunFolder, type RunFolder} from '../../src/run/runFolder.js';
import type {RunSummary} from '../../src/run/summary.js';
import type {TuneEvent} from '../../src/tune/events.js';
import {runTuning} from '../../src/tune/open.js';
import {tuneConfig} from '../../src/tune/schema.js';
import {read} from '../support/documents.js';
import {temporaryFolder} from '../support/files.js';
import {nano, noisyWeights} from '../support/nano.js';

const settings = {
  environment: 'fluentClips',
  preset: 'nano',
  reward: 'brightness',
  threads: 1,
  iterations: 8,
  promptsPerIteration: 2,
  samplesPerPrompt: 4,
  samplingSteps: 3,
  evaluation: {prompts: 2, steps: 3},
  sampleEvery: 0,
  checkpointEvery: 2,
  monitor: {every: 2, prompts: 8},
};
const hacking = {...settings, distillationWeight: 0, learningRate: 0.01};

describe('the reward-hacking monitor', function () {
  this.timeout(300_000);
  const folder = temporaryFolder();
  const open = (name: string): Promise<RunFolder> => createRunFolder(join(folder(), name), {force: true});

  async function run(
    where: RunFolder,
    given: Readonly<Record<string, unknown>>,
    {resume = false, stopAfter = 0} = {},
  ): Promise<{summary: RunSummary; alarms: string[]}> {
    const alarms: string[] = [];
    const stop = new AbortController();
    const report = (event: TuneEvent): void => {
      if (event.kind === 'alarm') alarms.push(event.message);
      if (event.kind === 'iteration' && event.iteration === stopAfter) stop.abort();
    };
    const config = tuneConfig(direct, given);
    const summary = await runTuning({config, folder: where, params: noisyWeights(nano), resume, signal: stop.signal, report});
    return {summary, alarms};
  }

  it('fires where brightness is all that counts, keeps the best weights by the judge, and goes on bit for bit', async () => {
    const [whole, broken] = [await open('whole'), await open('broken')];
    const {summary, alarms} = await run(whole, hacking);
    const {monitor} = summary;
    expect(monitor).to.include({yardstick: 'judge/total', looks: 4});
    expect(monitor.alarms.map(({message}) => message)).to.deep.equal(alarms);
    expect(monitor.alarms.map(({figure}) => figure)).to.include('diversity');
    const rows = (await readMetrics(whole.metrics)).filter((row) => 'monitor/yardstick' in row);
    expect(rows.map(({iteration}) => iteration)).to.deep.equal([2, 4, 6, 8]);
    const top = Math.max(...rows.map((row) => row['monitor/yardstick']!));
    const {best} = monitor;
    expect(best?.yardstick).to.equal(top);
    expect(rows.find(({iteration}) => iteration === best?.iteration)?.['monitor/yardstick']).to.equal(top);
    const kept = (f: RunFolder): string[] => readdirSync(f.path).filter((name) => name.startsWith('best-'));
    expect(kept(whole)).to.deep.equal([best?.file]);
    const described = Array.from(read('docs/reward-hacking.md').matchAll(/^\| `(monitor\/\w+)` \|/gm), ([, name]) => name);
    expect(
      Object.keys(rows[0])
        .filter((name) => name.startsWith('monitor/'))
        .sort(),
    ).to.deep.equal(described.sort());

    await run(broken, hacking, {stopAfter: 5});
    expect((await run(broken, hacking, {resume: true})).summary.monitor).to.deep.equal(monitor);
    expect(kept(broken)).to.deep.equal(kept(whole));
    const bytes = (f: RunFolder): Buffer => readFileSync(join(f.path, best!.file));
    expect(bytes(broken).equals(bytes(whole))).to.equal(true);
  });

  it('ends the run where it is to, and the run stays ended', async () => {
    const where = await open('stopped');
    const given = {...hacking, monitor: {...hacking.monitor, stop: true}};
    const {summary} = await run(where, given);
    expect(summary).to.include({status: 'done', reason: 'the monitor saw signs of reward hacking (monitor.stop)'});
    expect(summary.iterations).to.be.below(8).and.equal(summary.monitor.alarms[0].iteration);
    expect((await run(where, given, {resume: true})).summary.iterations).to.equal(summary.iterations);
  });

  it('is silent in a calm run, and looks at nothing where it is switched off', async () => {
    const calm = await run(await open('calm'), {...settings, iterations: 4, learningRate: 1e-6});
    expect(calm.alarms).to.deep.equal([]);
    expect(calm.summary.monitor).to.deep.include({looks: 2, alarms: []});
    const off = await open('off');
    const {summary} = await run(off, {...settings, iterations: 2, monitor: {every: 0}});
    expect(summary.monitor).to.deep.equal({yardstick: 'judge/total', looks: 0, alarms: [], best: null});
    expect(existsSync(join(off.path, 'best-00000002.safetensors'))).to.equal(false);
  });
});
