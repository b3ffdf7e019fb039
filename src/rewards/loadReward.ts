/** A reward from a file of the user's own: `./mine.ts#redness`. */
import {existsSync} from 'node:fs';
import {basename, extname, resolve} from 'node:path';
import {pathToFileURL} from 'node:url';
import {ConfigError, ContractError, RlftError} from '../errors.js';
import {suggestion} from '../nearest.js';
import type {Reward, RewardModule} from '../reward.js';

const extensions = ['.ts', '.mts', '.js', '.mjs'];

/** Whether a source is a file: a path that begins with a dot or a slash, or a file of JavaScript or TypeScript. */
export const isRewardFile = (source: string): boolean => /^\.{0,2}\//.test(source) || /\.m?[jt]s(#|$)/.test(source);

/**
 * Loads a reward module from a file and checks its form. The file is a program: it runs with all rights of this process.
 *
 * @param source `path#export`, the path relative to the working directory. Without `#export`: the only reward that the file
 * exports.
 * @throws ConfigError if there is no such file or export, if it is no reward module, or if it cannot be loaded; the module that
 * comes back throws ContractError where `open` fails or gives no reward.
 */
export async function loadReward(source: string): Promise<RewardModule> {
  const [path, name] = cut(source);
  const where = `reward ${path}`;
  const file = resolve(path);
  if (!extensions.includes(extname(file)))
    throw new ConfigError(`${where}: wanted a file that ends in ${extensions.join(', ')}; got ${basename(path)}.`);
  if (!existsSync(file)) throw new ConfigError(`${where}: there is no such file, seen from the working directory.`);
  const exported = await importFile(file, where);
  const rewards = Object.keys(exported).filter((key) => faultOf(exported[key]) === undefined);
  const listed = rewards.length > 0 ? `it exports the rewards ${rewards.join(', ')}` : 'it exports none';
  if (name === undefined) {
    if (rewards.length === 1) return guarded(exported[rewards[0]] as RewardModule, path);
    throw new ConfigError(`${where}: wanted ${path}#name, the export that is the reward; ${listed}.`);
  }
  if (!Object.hasOwn(exported, name))
    throw new ConfigError(`${where}: exports nothing that is called "${name}"${suggestion(name, Object.keys(exported))}`);
  const fault = faultOf(exported[name]);
  if (fault !== undefined) throw new ConfigError(`${where}: "${name}" is not a reward module: ${fault}; ${listed}.`);
  return guarded(exported[name] as RewardModule, path);
}

function cut(source: string): [path: string, name: string | undefined] {
  const at = source.lastIndexOf('#');
  return at < 0 ? [source, undefined] : [source.slice(0, at), source.slice(at + 1)];
}

async function importFile(file: string, where: string): Promise<Record<string, unknown>> {
  if (/ts$/.test(file)) await readTypeScript(where);
  try {
    const namespace = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
    // Outside a folder of "type": "module", what a TypeScript file exports stands in `default`.
    const inner = namespace['default'];
    return {...(typeof inner === 'object' ? inner : {}), ...namespace};
  } catch (cause) {
    throw new ConfigError(`${where}: cannot be loaded: ${firstLine(cause)}`, {cause});
  }
}

/**
 * Makes TypeScript readable: Node does it by itself from 22.18 on; before, `tsx` does, if it is installed.
 *
 * @throws ConfigError that says what to install.
 */
async function readTypeScript(where: string): Promise<void> {
  if ((process.features as {typescript?: unknown}).typescript) return;
  // A name that the compiler does not look up: the package is the user's choice.
  const loader = 'tsx';
  await import(loader).catch((cause: unknown) => {
    throw new ConfigError(
      `${where}: wanted Node 22.18 or later, or the package tsx, to read TypeScript; this is Node ${process.versions.node}; run npm install tsx beside rlft, or name a JavaScript file.`,
      {cause},
    );
  });
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).split('\n')[0];

/** What is wrong with the form of a module, or undefined. */
function faultOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null)
    return `wanted an object with name, unit, summary and open; got ${typeof value}`;
  const module = value as Record<string, unknown>;
  for (const key of ['name', 'unit', 'summary']) {
    if (typeof module[key] !== 'string' || module[key] === '') return `${key}: wanted text; got ${typeof module[key]}`;
  }
  return typeof module['open'] === 'function' ? undefined : `open: wanted a function; got ${typeof module['open']}`;
}

/** The module, whose `open` answers for what it throws and returns. */
const guarded = (module: RewardModule, path: string): RewardModule => ({
  name: module.name,
  unit: module.unit,
  summary: module.summary,
  async open(context) {
    const where = `reward "${module.name}" of ${path}`;
    let reward: Reward;
    try {
      reward = await module.open(context);
    } catch (cause) {
      if (cause instanceof RlftError) throw cause;
      throw new ContractError(`${where}: open: wanted a reward; it threw ${firstLine(cause)}`, {cause});
    }
    if (typeof (reward as Reward | undefined)?.score === 'function') return reward;
    throw new ContractError(`${where}: open: wanted a reward with a function score; got ${typeof reward}.`);
  },
});
