import {expect} from 'chai';
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {pathToFileURL} from 'node:url';
import {packageRoot, version, versionOf} from '../../src/run/packageInfo.js';
import {noteResume, runInfo, writeRunInfo, type RunInfo} from '../../src/run/runInfo.js';
import {peakMemoryBytes, writeSummary} from '../../src/run/summary.js';
import {rejection, temporaryFolder} from '../support/files.js';

describe('run/runInfo', () => {
  const folder = temporaryFolder();

  it('names versions, seed and the hashes of assets', async () => {
    const asset = join(folder(), 'w.safetensors');
    writeFileSync(asset, 'abc');
    const info = await runInfo(['run', 'ddpo'], 7, [pathToFileURL(asset)]);
    const manifest = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {version: string};
    expect(info).to.deep.include({rlft: manifest.version, node: process.version, seed: 7, resumed: []});
    expect(info.packages['onnxruntime-node']).to.equal('1.30.0');
    expect(info.assets).to.deep.equal({'w.safetensors': 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'});
  });

  it('keeps the folders of this machine out', async () => {
    const info = await runInfo(['run', '--config', '/home/me/my.yaml', '--policy=/srv/w.safetensors', 'runs/x', '-v'], 1, []);
    expect(info.command).to.deep.equal(['run', '--config', 'my.yaml', '--policy=w.safetensors', 'runs/x', '-v']);
    expect(JSON.stringify(info)).to.not.include(packageRoot());
  });

  it('says which asset cannot be read', async () => {
    expect((await rejection(runInfo([], 1, [join(folder(), 'none')]))).message).to.match(
      /^cannot read .*none: there is no such file/,
    );
  });

  it('notes every resume', async () => {
    const path = join(folder(), 'run.json');
    await writeRunInfo(path, await runInfo([], 1, []));
    await noteResume(path, 10);
    await noteResume(path, 20);
    const info = JSON.parse(readFileSync(path, 'utf8')) as RunInfo;
    expect(info.resumed.map((r) => r.iteration)).to.deep.equal([10, 20]);
  });
});

describe('run/packageInfo', () => {
  it('knows its version, that of a dependency, and that a stranger is not there', () => {
    expect(version()).to.match(/^\d+\.\d+\.\d+/);
    expect(versionOf('@tensorflow/tfjs-core')).to.equal('4.22.0');
    expect(versionOf('no-such-package-here')).to.equal(undefined);
  });
});

describe('run/summary', () => {
  const folder = temporaryFolder();

  it('is JSON that ends with a line feed', async () => {
    const path = join(folder(), 'summary.json');
    const evaluation = {
      suite: 'heldOut/64',
      metric: 'reward/mean',
      before: 0.5,
      after: 0.6,
      difference: {mean: 0.1, low: 0.05, high: 0.15},
    };
    const summary = {
      status: 'done' as const,
      seed: 42,
      wallSeconds: 120.5,
      peakMemoryBytes: peakMemoryBytes(),
      iterations: 12,
      evaluation,
      otherEvaluations: [],
      monitor: {yardstick: null, looks: 0, alarms: [], best: null},
    };
    await writeSummary(path, summary);
    const text = readFileSync(path, 'utf8');
    expect(text.endsWith('}\n')).to.equal(true);
    expect(JSON.parse(text)).to.deep.equal(summary);
  });

  it('measures memory in bytes', () => {
    expect(peakMemoryBytes()).to.be.within(process.memoryUsage().rss / 2, 64 * 2 ** 30);
  });
});
