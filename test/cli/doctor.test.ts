import {expect} from 'chai';
import {runCommand} from '../support/runCommand.js';

describe('cli/doctor', () => {
  it('prints versions, processor and memory for people', async () => {
    const {code, stdout, stderr} = await runCommand(['doctor', '--device', 'cpu']);
    expect({code, stderr}).to.deep.equal({code: 0, stderr: ''});
    expect(stdout).to.match(/^rlft +\d+\.\d+\.\d+\n/);
    expect(stdout).to.match(/\nonnxruntime-node +1\.30\.0\n/);
    expect(stdout).to.include(process.version);
    expect(stdout).to.match(/\ndevice cpu +runs here: [\d.]+ GFLOP\/s, gradient error \de-\d\n$/);
  });

  it('prints one JSON object for scripts', async () => {
    const {code, stdout, stderr} = await runCommand(['doctor', '--json', '--device', 'tfjs:cpu']);
    expect({code, stderr}).to.deep.equal({code: 0, stderr: ''});
    const found = JSON.parse(stdout) as {
      node: string;
      cores: number;
      threads: number;
      packages: Record<string, string | null>;
      devices: unknown[];
    };
    expect(found).to.deep.include({node: process.version});
    expect(found.cores).to.be.greaterThan(0);
    expect(found.threads).to.be.within(1, found.cores);
    expect(found.packages['onnxruntime-node']).to.equal('1.30.0');
    expect(found.devices).to.deep.equal([{name: 'tfjs:cpu', available: true, gradientError: 0}]);
  });
});
