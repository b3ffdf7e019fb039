/** `rlft pretrain`: train a network of a world from nothing. Parsing and folders; what is trained stands in files of its own. */
import {UnknownNameError} from '../errors.js';
import {suggestion} from '../nearest.js';
import type {CommandBody} from './command.js';
import {configFlags, otherFlagNames} from './configFlags.js';
import {encoderPretraining} from './pretrainEncoder.js';
import {policyPretraining} from './pretrainPolicy.js';
import {runFolderFlags} from './runFolderFlags.js';
import {resumeFlag, runTraining, type Training} from './training.js';

const networks = {policy: policyPretraining, encoder: encoderPretraining};
type Network = keyof typeof networks;
const known = Object.keys(networks) as Network[];

/** The word that names the network, wherever the flags stand; the policy where there is none. */
const networkIn = (args: readonly string[]): Network => known.find((name) => args.includes(name)) ?? 'policy';

/** The command. */
export const body: CommandBody = {
  positionals: {network: {type: 'string', describe: `What to train: ${known.join(' or ')}; default policy`}},
  options: (args) => ({
    ...configFlags(networks[networkIn(args)].schema),
    ...runFolderFlags('pretrain'),
    ...resumeFlag,
  }),
  otherNames: otherFlagNames,
  examples: [
    ['rlft pretrain --output-dir runs/mini', 'the policy that ships: about half an hour on two free cores'],
    ['rlft pretrain encoder --output-dir runs/a', 'the encoder that rewards use'],
  ],
  async run(argv, io, args) {
    const network = (argv['network'] as string | undefined) ?? 'policy';
    if (!Object.hasOwn(networks, network))
      throw new UnknownNameError(`unknown network "${network}"${suggestion(network, known)}`);
    const training = networks[network as Network] as Training<{seed: number}>;
    await runTraining('pretrain', network === 'policy' ? 'pretrain' : network, training, argv, io, args);
  },
};
