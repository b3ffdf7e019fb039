/** A run is a folder. Here is what lies where in it, and the care that nothing is overwritten. */
import {mkdir, readdir, rm} from 'node:fs/promises';
import {join} from 'node:path';
import {ConfigError} from '../errors.js';
import {fileError} from './writeAtomically.js';

/** Paths inside a run folder. */
export interface RunFolder {
  readonly path: string;
  /** The resolved configuration, every default written out. */
  readonly config: string;
  /** Versions, seed, command, hashes: `runInfo.ts`. */
  readonly info: string;
  /** One row per iteration: `metrics.ts`. */
  readonly metrics: string;
  /** The tuned weights, where the whole network was tuned. */
  readonly policy: string;
  /** The adapter and what it fits, where one was trained: `adapterFiles.ts`. */
  readonly adapter: string;
  readonly adapterConfig: string;
  /** The model card, beside the weights. */
  readonly card: string;
  /** Pictures of the fixed prompts. */
  readonly samples: string;
  readonly checkpoints: string;
  readonly report: string;
  /** How it ended: `summary.ts`. */
  readonly summary: string;
}

/** Names of weights inside a folder; those of an adapter are peft's. */
export const [policyFile, adapterFile, adapterConfigFile] = [
  'policy.safetensors',
  'adapter_model.safetensors',
  'adapter_config.json',
] as const;

/** Name of the weights that the monitor's yardstick liked best, after an iteration. */
export const bestFile = (iteration: number): string => `best-${String(iteration).padStart(8, '0')}.safetensors`;

/** Whether a file is called so. */
export const isBestFile = (name: string): boolean => /^best-\d{8,}\.safetensors$/.test(name);

/** The layout of a run folder; touches no disk. */
export const runFolder = (path: string): RunFolder => ({
  path,
  config: join(path, 'config.yaml'),
  info: join(path, 'run.json'),
  metrics: join(path, 'metrics.jsonl'),
  policy: join(path, policyFile),
  adapter: join(path, adapterFile),
  adapterConfig: join(path, adapterConfigFile),
  card: join(path, 'README.md'),
  samples: join(path, 'samples'),
  checkpoints: join(path, 'checkpoints'),
  report: join(path, 'report.html'),
  summary: join(path, 'summary.json'),
});

/**
 * Makes the folder of a new run.
 *
 * @param force remove what an earlier run left in it: the files of the layout, and no others.
 * @throws ConfigError if it exists and is not empty; RlftError if it cannot be made.
 */
export async function createRunFolder(path: string, {force}: {readonly force: boolean}): Promise<RunFolder> {
  const folder = runFolder(path);
  const entries = await readdir(path).catch((cause: NodeJS.ErrnoException) =>
    cause.code === 'ENOENT' ? [] : Promise.reject(fileError('use', path, cause)),
  );
  if (entries.length > 0 && !force) {
    throw new ConfigError(
      `--output-dir ${path}: wanted a new or empty folder; it holds ${entries.length} entries. Use another, --resume ${path}, or --force to replace the run in it.`,
    );
  }
  const {path: _, ...parts} = folder;
  const named = entries
    .filter((entry) => entry.startsWith('events.out.tfevents.') || isBestFile(entry))
    .map((entry) => join(path, entry));
  for (const part of [...Object.values(parts), ...named]) await rm(part, {recursive: true, force: true});
  for (const made of [folder.samples, folder.checkpoints]) {
    await mkdir(made, {recursive: true}).catch((cause: unknown) => Promise.reject(fileError('make', made, cause)));
  }
  return folder;
}

/**
 * The folder of a run that is to go on, be sampled from or be reported on.
 *
 * @throws ConfigError if there is no run in it.
 */
export async function openRunFolder(path: string): Promise<RunFolder> {
  const entries = await readdir(path).catch((): string[] => []);
  if (!entries.includes('config.yaml')) {
    // A run that is killed in its first moments has made its folders and nothing else.
    const advice = entries.includes('checkpoints') ? ' A run that was killed while it started is begun anew with --force.' : '';
    throw new ConfigError(`${path}: wanted the folder of a run; it holds no config.yaml.${advice}`);
  }
  return runFolder(path);
}

/**
 * A folder for a run that was given none: `<base>/<name>-1`, `-2`, … the first that is free, made at once so that two runs that
 * start together get two folders.
 *
 * @throws RlftError if it cannot be made.
 */
export async function claimRunFolder(base: string, name: string): Promise<RunFolder> {
  await mkdir(base, {recursive: true}).catch((cause: unknown) => Promise.reject(fileError('make', base, cause)));
  for (let n = 1; ; n++) {
    const path = join(base, `${fileName(name)}-${n}`);
    try {
      await mkdir(path);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST') continue;
      throw fileError('make', path, cause);
    }
    return createRunFolder(path, {force: false});
  }
}

/** A file name made of free text, such as a prompt: letters and digits joined by hyphens, so that it cannot leave its folder. */
export const fileName = (text: string): string =>
  text
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 60) || 'unnamed';
