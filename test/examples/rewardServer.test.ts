/** The example server in Python passes the check of reward servers; where there is no Python the test is skipped. */
import {spawn, spawnSync} from 'node:child_process';
import {join} from 'node:path';
import {checkRewardServer} from '../../src/conformance.js';
import {root} from '../support/documents.js';

describe('examples/reward_server.py', function () {
  this.timeout(20_000);

  it('speaks the protocol', async function () {
    if (spawnSync('python3', ['--version']).status !== 0) return this.skip();
    const server = spawn('python3', [join(root, 'examples/reward_server.py'), '0'], {stdio: ['ignore', 'pipe', 'inherit']});
    try {
      const line = await new Promise<string>((resolve, reject) => {
        server.stdout.once('data', (data: Buffer) => resolve(data.toString()));
        server.once('exit', (code) => reject(new Error(`the server ended with code ${code}`)));
      });
      await checkRewardServer(line.replace(/^serving /, '').trim());
    } finally {
      server.kill();
    }
  });
});
