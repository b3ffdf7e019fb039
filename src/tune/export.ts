/** What a run tuned, taken out of its folder: what `rlft export` does. */
import {existsSync} from 'node:fs';
import {copyFile, mkdir, readdir} from 'node:fs/promises';
import {basename, join} from 'node:path';
import {environments} from '../builtins.js';
import {ConfigError} from '../errors.js';
import {readAdapter} from '../run/adapterFiles.js';
import {runFolder} from '../run/runFolder.js';
import {writeWeights} from '../run/weights.js';
import {fileError} from '../run/writeAtomically.js';
import {adapterFolder, readPolicy} from './policyWeights.js';

/** What to take out and where to put it. */
export interface ExportRequest {
  /** A run's folder, or one that holds an adapter. */
  readonly folder: string;
  /** Full weights of base and adapter in one file, instead of the files as they are. */
  readonly merge: boolean;
  /** With `merge` a file, otherwise a folder. */
  readonly output: string;
  /** Replace what is there. */
  readonly force: boolean;
}

/**
 * Exports.
 *
 * @returns the files that were written.
 * @throws ConfigError if there is nothing to export or to merge, or if the output is there already; RlftError or CorruptFileError
 * if a file cannot be read or written.
 */
export async function exportTuned({folder, merge, output, force}: ExportRequest): Promise<string[]> {
  const adapter = await adapterFolder(folder);
  const run = runFolder(adapter ?? folder);
  if (adapter === undefined && !existsSync(run.policy)) {
    throw new ConfigError(
      `${folder}: wanted the folder of a run that has ended; it holds neither ${basename(run.policy)} nor ${basename(run.adapter)}.`,
    );
  }
  if (merge) return [await exportMerged(folder, adapter, output, force)];
  const weights = adapter === undefined ? [run.policy] : [run.adapter, run.adapterConfig];
  return copyInto(output, [...weights, ...(existsSync(run.card) ? [run.card] : [])], force);
}

async function exportMerged(folder: string, adapter: string | undefined, output: string, force: boolean): Promise<string> {
  if (adapter === undefined) {
    throw new ConfigError(`--merge: ${folder} holds full weights already, which need no merging; leave --merge out.`);
  }
  if (!force && existsSync(output)) {
    throw new ConfigError(`--output ${output}: wanted a new file; it exists. Use another, or --force to replace it.`);
  }
  const {environment, preset} = await readAdapter(adapter);
  const {params} = await readPolicy(environments.get(environment).open(preset), adapter);
  await writeWeights(output, params, {metadata: {environment, preset}});
  return output;
}

async function copyInto(output: string, files: readonly string[], force: boolean): Promise<string[]> {
  const present = await readdir(output).catch((): string[] => []);
  if (present.length > 0 && !force) {
    throw new ConfigError(
      `--output ${output}: wanted a new or empty folder; it holds ${present.length} entries. Use another, or --force to replace files of the same names.`,
    );
  }
  await mkdir(output, {recursive: true}).catch((cause: unknown) => Promise.reject(fileError('make', output, cause)));
  const written = files.map((file) => join(output, basename(file)));
  for (const [i, file] of files.entries()) {
    await copyFile(file, written[i]).catch((cause: unknown) => Promise.reject(fileError('write', written[i], cause)));
  }
  return written;
}
