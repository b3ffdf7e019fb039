/**
 * Builds dist/: compiles into a folder beside it, adds what is not TypeScript, and puts it in place by a rename, so that a build
 * that fails or is interrupted never leaves half a dist/ behind.
 */
import {spawnSync} from 'node:child_process';
import {cpSync, existsSync, renameSync, rmSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const draft = `dist-${process.pid}`;

process.chdir(root);
const compiled = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', draft], {stdio: ['ignore', 2, 2]});
if (compiled.status !== 0) {
  rmSync(draft, {recursive: true, force: true});
  process.exit(compiled.status ?? 1);
}
if (existsSync('assets')) cpSync('assets', join(draft, 'assets'), {recursive: true});
rmSync('dist', {recursive: true, force: true});
renameSync(draft, 'dist');
