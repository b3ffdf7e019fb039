#!/usr/bin/env node
/**
 * The command `rlft`. In a clone of the repository, where install scripts are off, the first call builds dist/ by itself.
 */
import {spawnSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath, pathToFileURL} from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const main = join(root, 'dist', 'src', 'cli', 'main.js');

if (!existsSync(main) && existsSync(join(root, 'src'))) {
  process.stderr.write('rlft: dist/ is missing; running `npm run build` once (about 20 seconds) …\n');
  // Standard output belongs to the command's data, so the build's goes to standard error.
  const build = spawnSync('npm', ['run', '--silent', 'build'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (build.status !== 0) {
    process.stderr.write('rlft: the build failed; its messages are above. Try `npm ci`, then `npm run build`.\n');
    process.exit(1);
  }
}

const {runAsProgram} = await import(pathToFileURL(main).href);
await runAsProgram();
