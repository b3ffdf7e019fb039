/** What this installation of rlft is: where its root lies, its version, the versions of what it runs on. */
import {existsSync, readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

/** The folder of rlft's package.json; the same from the source and from dist/. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

/** Version of rlft. */
export const version = (): string => (readJson(join(packageRoot(), 'package.json')) as {version: string}).version;

/** Installed version of a package that rlft depends on, or undefined if it is not there. */
export function versionOf(packageName: string): string | undefined {
  const {resolve} = createRequire(import.meta.url);
  for (const folder of resolve.paths(packageName) ?? []) {
    const manifest = join(folder, packageName, 'package.json');
    if (existsSync(manifest)) return (readJson(manifest) as {version: string}).version;
  }
  return undefined;
}

const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
