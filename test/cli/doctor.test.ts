import {expect} from 'chai';
import {runCommand} from '../support/runCommand.js';

describe('cli/doctor', () => {
  it('prints versions, processor and memory for people', async () => {
    const {code, stdout, stderr} = await runCommand(['doctor']);
    expect({code, stderr}).to.deep.equal({code: 0, stderr: ''});
    expect(stdout).to.match(/^rlft +\d+\.\d+\.\d+\n/);
    expect(stdout).to.match(/\nonnxruntime-node +1\.30\.0\n/);
    expect(stdout).to.include(process.version);
  });

  it('prints one JSON object for scripts', async () => {
    const {code, stdout, stderr} = await runCommand(['doctor', '--json']);
    expect({code, stderr}).to.deep.equal({code: 0, stderr: ''});
    const found = JSON.parse(stdout) as {node: string; cores: number; packages: Record<string, string | null>};
    expect(found).to.deep.include({node: process.version});
    expect(found.cores).to.be.greaterThan(0);
    expect(found.packages['onnxruntime-node']).to.equal('1.30.0');
  });
});
