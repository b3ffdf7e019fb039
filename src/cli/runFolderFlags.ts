/** The flags that say which folder a run lies in, of every command that has runs. */
import type {Options} from 'yargs';
import {ConfigError} from '../errors.js';
import {claimRunFolder, createRunFolder, openRunFolder, type RunFolder} from '../run/runFolder.js';
import type {Arguments} from './command.js';

/** Flags of a command whose folders are called `runs/<name>-<n>`. */
export const runFolderFlags = (name: string): Readonly<Record<string, Options>> => ({
  'output-dir': {type: 'string', requiresArg: true, describe: `Folder of the run; default runs/${name}-<n>`},
  force: {type: 'boolean', describe: 'Replace the run that is in the folder'},
});

/**
 * The folder that the flags name: an earlier run's with --resume, the one of --output-dir, or a new one.
 *
 * @throws ConfigError if they contradict each other, or the folder is not what they say.
 */
export async function folderOf(argv: Arguments, name: string): Promise<{folder: RunFolder; resume: boolean}> {
  const [output, resumed] = [argv['output-dir'] as string | undefined, argv['resume'] as string | undefined];
  if (resumed !== undefined) {
    if (output !== undefined || argv['force'] === true)
      throw new ConfigError('--resume goes on in its own folder; leave --output-dir and --force out.');
    return {folder: await openRunFolder(resumed), resume: true};
  }
  if (output === undefined) return {folder: await claimRunFolder('runs', name), resume: false};
  return {folder: await createRunFolder(output, {force: argv['force'] === true}), resume: false};
}
