/** `run.json`: what somebody needs to repeat a run, and nothing about whose machine it was. */
import {execFile} from 'node:child_process';
import {createHash} from 'node:crypto';
import {createReadStream, existsSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {arch, availableParallelism, cpus, platform, totalmem} from 'node:os';
import {basename, isAbsolute, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {packageRoot, version, versionOf} from './packageInfo.js';
import {fileError, writeAtomically} from './writeAtomically.js';

/** The content of run.json. */
export interface RunInfo {
  readonly rlft: string;
  /** Commit of rlft's source, if it runs from a clone; `+` behind it if files had been changed. */
  readonly commit?: string;
  readonly node: string;
  readonly platform: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** Versions of the packages that make the numbers. */
  readonly packages: Readonly<Record<string, string>>;
  /** Command line, absolute paths cut to their last part. */
  readonly command: readonly string[];
  readonly seed: number;
  readonly startedAt: string;
  /** sha256 of every file that the run read, by its name. */
  readonly assets: Readonly<Record<string, string>>;
  /** When, and after how many iterations, it was taken up again. */
  readonly resumed: readonly {readonly at: string; readonly iteration: number}[];
}

const numericPackages = ['onnxruntime-node', '@tensorflow/tfjs-core', 'rxjs', 'mathjs'];

/**
 * Collects what is known when a run starts.
 *
 * @param command arguments of the command line, from the word after `rlft` on.
 * @param assets files that the run reads: weights, maps, prompts.
 * @throws RlftError if an asset cannot be read.
 */
export async function runInfo(command: readonly string[], seed: number, assets: readonly (string | URL)[]): Promise<RunInfo> {
  const commit = await sourceCommit();
  const packages = numericPackages.flatMap((name) => {
    const installed = versionOf(name);
    return installed === undefined ? [] : [[name, installed]];
  });
  const hashes = await Promise.all(assets.map(async (asset) => [nameOf(asset), await sha256Of(asset)] as const));
  return {
    rlft: version(),
    ...(commit !== undefined && {commit}),
    node: process.version,
    platform: `${platform()} ${arch()}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    packages: Object.fromEntries(packages) as Record<string, string>,
    command: command.map(withoutFolders),
    seed,
    startedAt: new Date().toISOString(),
    assets: Object.fromEntries(hashes),
    resumed: [],
  };
}

const nameOf = (asset: string | URL): string => basename(asset instanceof URL ? asset.pathname : asset);

/** An argument without the folders of this machine: `--policy=/home/me/w.safetensors` → `--policy=w.safetensors`. */
function withoutFolders(argument: string): string {
  const at = argument.startsWith('-') ? argument.indexOf('=') + 1 : 0;
  const value = argument.slice(at);
  return isAbsolute(value) ? argument.slice(0, at) + basename(value) : argument;
}

/** sha256 of a file, in hexadecimal. */
export async function sha256Of(file: string | URL): Promise<string> {
  const path = file instanceof URL ? fileURLToPath(file) : file;
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) hash.update(chunk);
  } catch (cause) {
    throw fileError('read', path, cause);
  }
  return hash.digest('hex');
}

async function sourceCommit(): Promise<string | undefined> {
  const root = packageRoot();
  if (!existsSync(join(root, '.git'))) return undefined;
  const git = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)('git', ['-C', root, ...args])).stdout.trim();
  try {
    const changed = await git('status', '--porcelain', '--untracked-files=no');
    return (await git('rev-parse', 'HEAD')) + (changed === '' ? '' : '+');
  } catch {
    return undefined; // no git on this machine: the run does not need it
  }
}

/** Writes run.json. */
export const writeRunInfo = (path: string, info: RunInfo): Promise<void> =>
  writeAtomically(path, [`${JSON.stringify(info, null, 2)}\n`]);

/**
 * Notes in run.json that the run was taken up again.
 *
 * @throws RlftError if it is missing or cannot be written.
 */
export async function noteResume(path: string, iteration: number): Promise<void> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => Promise.reject(fileError('read', path, cause)));
  const info = JSON.parse(text) as RunInfo;
  await writeRunInfo(path, {...info, resumed: [...info.resumed, {at: new Date().toISOString(), iteration}]});
}
