/** `rlft fit`: fit what a reward is made of to frozen encoders. What is fitted stands in files of its own. */
import {ConfigError, UnknownNameError} from '../errors.js';
import {suggestion} from '../nearest.js';
import type {CommandBody} from './command.js';
import {configFlags, otherFlagNames} from './configFlags.js';
import {preferenceFitting} from './fitPreference.js';
import {transportFitting} from './fitTransport.js';
import {runFolderFlags} from './runFolderFlags.js';
import {resumeFlag, runTraining, type Training} from './training.js';

const fits = {transport: transportFitting, preference: preferenceFitting};
type Fit = keyof typeof fits;
const known = Object.keys(fits) as Fit[];

/** The word that names what is fitted, wherever the flags stand. */
const fitIn = (args: readonly string[]): Fit => known.find((name) => args.includes(name)) ?? 'transport';

/** The command. */
export const body: CommandBody = {
  positionals: {what: {type: 'string', describe: `What to fit: ${known.join(' or ')}`}},
  options: (args) => ({...configFlags(fits[fitIn(args)].schema), ...runFolderFlags('fit'), ...resumeFlag}),
  otherNames: otherFlagNames,
  examples: [
    ['rlft fit transport --output-dir runs/map', 'the map of the quality reward, by neural optimal transport'],
    ['rlft fit transport --map bures', 'the map between the two Gaussians instead, in a second'],
    ['rlft fit preference --label-noise 0.2', 'the control that needs annotations: labels of pairs, a fifth of them wrong'],
  ],
  async run(argv, io, args) {
    const what = argv['what'] as string | undefined;
    if (what === undefined) throw new ConfigError(`fit: wanted what to fit, ${known.join(' or ')}; got nothing.`);
    if (!Object.hasOwn(fits, what)) throw new UnknownNameError(`unknown fit "${what}"${suggestion(what, known)}`);
    await runTraining('fit', what, fits[what as Fit] as Training<{seed: number}>, argv, io, args);
  },
};
