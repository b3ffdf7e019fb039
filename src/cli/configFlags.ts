/** Flags made from a configuration's schema, and the way back from parsed flags to sources of a configuration. */
import {readFile} from 'node:fs/promises';
import type {Options} from 'yargs';
import type {z} from 'zod';
import {ConfigError} from '../errors.js';
import {peerNames} from '../options.js';
import {flagName, type ConfigSources} from '../run/config.js';
import {describeKeys, type KeyDescription} from '../run/configKeys.js';
import {fileError} from '../run/writeAtomically.js';
import type {Arguments} from './command.js';

/** Flags of every command that has a configuration. */
export const configOptions: Readonly<Record<string, Options>> = {
  config: {type: 'string', requiresArg: true, describe: 'YAML file of settings; flags override it'},
  set: {
    type: 'string',
    array: true,
    nargs: 1,
    requiresArg: true,
    describe: 'One setting, such as --set evaluation.every=5; repeatable',
  },
  'print-config': {type: 'boolean', describe: 'Print the resolved configuration, with the source of each value, and stop'},
};

/**
 * One flag per key: `learningRate` → `--learning-rate`, `evaluation.every` → `--evaluation-every`.
 *
 * @param except keys that the command has as positionals.
 */
export function configFlags(schema: z.ZodType, except: readonly string[] = []): Record<string, Options> {
  const keys = describeKeys(schema).filter(({path}) => !except.includes(path));
  return {...configOptions, ...Object.fromEntries(keys.map((key) => [flagName(key.path), optionOf(key)]))};
}

function optionOf({type, choices, description, default: value}: KeyDescription): Options {
  const shown = value === undefined ? {} : {defaultDescription: typeof value === 'string' ? value : JSON.stringify(value)};
  const describe = choices === undefined ? description : `${description} [${choices.join(', ')}]`;
  // All but switches arrive as text and meet the schema, so that a wrong one is answered in one manner wherever it stands.
  if (type === 'boolean') return {type, describe, group: 'Settings:', ...shown};
  return {type: 'string', requiresArg: true, describe, group: 'Settings:', ...shown};
}

/** Other projects' names of keys, as flags: `num-generations` and `num_generations` → `samples-per-prompt`. */
export const otherFlagNames: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(peerNames).flatMap(([theirs, ours]) =>
    [theirs, theirs.replace(/_/g, '-')].map((name) => [name, flagName(ours)]),
  ),
);

/**
 * What `resolveConfig` takes, from parsed flags.
 *
 * @param except keys that the command has as positionals, as in `configFlags`.
 * @throws ConfigError if the file of --config cannot be read.
 */
export async function configSources(argv: Arguments, schema: z.ZodType, except: readonly string[] = []): Promise<ConfigSources> {
  const path = argv['config'] as string | undefined;
  const given = describeKeys(schema).flatMap(({path: key}): [string, string | boolean][] => {
    const value = except.includes(key) ? undefined : argv[flagName(key)];
    return value === undefined ? [] : [[key, value as string | boolean]];
  });
  return {
    ...(path !== undefined && {file: {path, text: await readConfig(path)}}),
    set: (argv['set'] as string[] | undefined) ?? [],
    flags: Object.fromEntries(given),
  };
}

async function readConfig(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new ConfigError(`--config: ${fileError('read', path, cause).message}`, {cause});
  }
}
