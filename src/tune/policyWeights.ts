/** The weights that a setting `policy` names: a file, an adapter over other weights, or those that ship. */
import {stat} from 'node:fs/promises';
import {basename, dirname, join, resolve} from 'node:path';
import type {Environment} from '../environment.js';
import {ConfigError, CorruptFileError} from '../errors.js';
import {mergeAdapter, scaleOf} from '../rollout/adapter.js';
import {readAdapter, type SavedAdapter} from '../run/adapterFiles.js';
import {hashParams} from '../run/hashParams.js';
import {adapterConfigFile, adapterFile, policyFile} from '../run/runFolder.js';
import {readWeights} from '../run/weights.js';
import type {NdArray} from '../tensor/ndarray.js';
import {leaves, type Params} from '../tensor/tree.js';

/** Full weights, and the files that they were made of. */
export interface PolicyWeights {
  readonly params: Params;
  readonly files: readonly (string | URL)[];
}

/**
 * Where the weights that a setting names lie.
 *
 * @throws ConfigError if the preset ships none.
 */
export function weightsOf(environment: Environment, policy: string): string | URL {
  if (policy !== 'shipped') return policy;
  if (environment.weights) return environment.weights;
  throw new ConfigError(
    `policy: wanted a weights file; ${environment.name} ${environment.preset} ships none. Make one with rlft pretrain.`,
  );
}

/** Whether there is such a file. */
const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/**
 * The folder of an adapter, given that folder or its weights; undefined if it is something else. A folder that holds full weights
 * as well is taken for these.
 */
export async function adapterFolder(path: string): Promise<string | undefined> {
  const folder = basename(path) === adapterFile ? dirname(path) : path;
  return !(await isFile(join(path, policyFile))) && (await isFile(join(folder, adapterConfigFile))) ? folder : undefined;
}

/**
 * Reads the weights of a policy. An adapter is merged into the weights that it names.
 *
 * @param policy `shipped`, a safetensors file, or a folder that holds `policy.safetensors` or an adapter: that of a run.
 * @throws ConfigError if the preset ships no weights, or an adapter belongs to another world or other weights; RlftError or
 * CorruptFileError if a file cannot be read.
 */
export const readPolicy = (environment: Environment, policy: string): Promise<PolicyWeights> => read(environment, policy, []);

async function read(environment: Environment, policy: string, above: readonly string[]): Promise<PolicyWeights> {
  if (policy === 'shipped') return readFull(weightsOf(environment, policy));
  const folder = await adapterFolder(policy);
  if (folder === undefined) return readFull((await isFile(join(policy, policyFile))) ? join(policy, policyFile) : policy);
  const saved = await readAdapter(folder);
  const {name, preset} = environment;
  if (saved.environment !== name || saved.preset !== preset) {
    throw new ConfigError(
      `policy: ${folder} holds an adapter of ${saved.environment} ${saved.preset}; this is ${name} ${preset}. Use environment: ${saved.environment}, preset: ${saved.preset}.`,
    );
  }
  if (saved.base === null) {
    throw new ConfigError(`policy: ${folder} names no weights beneath its adapter: a program gave them. Merge it there.`);
  }
  if (above.includes(resolve(folder)))
    throw new ConfigError(`policy: ${folder} names itself as the weights beneath its adapter.`);
  const base = await read(environment, saved.base, [...above, resolve(folder)]);
  return {params: mergeOnto(base.params, saved, folder), files: [join(folder, adapterFile), ...base.files]};
}

const readFull = async (file: string | URL): Promise<PolicyWeights> => ({
  params: (await readWeights(file)).params,
  files: [file],
});

function mergeOnto(base: Params, {adapter, baseHash, ...options}: SavedAdapter, folder: string): Params {
  if (hashParams(base) !== baseHash) {
    throw new ConfigError(
      `policy: ${folder} holds an adapter of other weights than "${options.base}" holds now; restore them, or tune anew.`,
    );
  }
  const shapes = new Map(leaves<NdArray>(base).map(([path, {shape}]) => [path, shape.join(', ')]));
  for (const [path, {shape}] of leaves<NdArray>(adapter)) {
    const layer = `${path.slice(0, -1)}weight`;
    const [inputs, outputs] = (shapes.get(layer) ?? '').split(', ').map(Number);
    if (path.endsWith('.A') ? shape[0] === inputs : shape[1] === outputs) continue;
    throw new CorruptFileError(
      `${folder}: the factor "${path}" [${shape.join(', ')}] does not fit "${layer}" [${shapes.get(layer) ?? 'which there is not'}].`,
    );
  }
  return mergeAdapter(base, adapter, scaleOf(options));
}
