/** `rlft pretrain`: train a network of a world from nothing. Parsing and folders; what is trained stands in files of its own. */
import {writeFile} from 'node:fs/promises';
import type {z} from 'zod';
import {ConfigError, UnknownNameError} from '../errors.js';
import {suggestion} from '../nearest.js';
import {peerNames} from '../options.js';
import {renderConfig, resolveConfig} from '../run/config.js';
import {openRunFolder, type RunFolder} from '../run/runFolder.js';
import {runInfo, writeRunInfo} from '../run/runInfo.js';
import type {Arguments, CommandBody, Io} from './command.js';
import {configFlags, configSources, otherFlagNames} from './configFlags.js';
import {encoderPretraining} from './pretrainEncoder.js';
import {policyPretraining} from './pretrainPolicy.js';
import {folderOf, runFolderFlags} from './runFolderFlags.js';

/** One kind of network that can be trained. */
export interface Pretraining<Config extends {readonly seed: number}> {
  readonly schema: z.ZodType<Config>;
  /** @throws ConfigError if the configuration asks for what there is not; called before anything is written. */
  check(config: Config): void;
  run(config: Config, folder: RunFolder, resume: boolean, io: Io): Promise<void>;
}

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
    resume: {type: 'string', requiresArg: true, describe: 'Go on with the run in this folder, with its settings'},
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
    await train(network as Network, networks[network as Network] as Pretraining<{seed: number}>, argv, io, args);
  },
};

async function train<Config extends {readonly seed: number}>(
  network: Network,
  {schema, check, run}: Pretraining<Config>,
  argv: Arguments,
  io: Io,
  args: readonly string[],
): Promise<void> {
  const resumed = argv['resume'] as string | undefined;
  const output = argv['output-dir'] as string | undefined;
  const given = await configSources(argv, schema);
  if (
    resumed !== undefined &&
    (output !== undefined || argv['force'] === true || Object.keys(given.flags ?? {}).length > 0 || given.file)
  ) {
    throw new ConfigError('--resume goes on in its own folder with its own settings; leave all other flags out.');
  }
  const sources = resumed === undefined ? given : await configSources({config: (await openRunFolder(resumed)).config}, schema);
  const {value: config, origins} = resolveConfig(schema, sources, peerNames);
  if (argv['print-config'] === true) {
    io.stdout.write(renderConfig(schema, config, origins));
    return;
  }
  check(config);
  const {folder, resume} = await folderOf(argv, network === 'policy' ? 'pretrain' : network);
  if (!resume) {
    await writeFile(folder.config, renderConfig(schema, config));
    await writeRunInfo(folder.info, await runInfo(['pretrain', ...args], config.seed, []));
  }
  await run(config, folder, resume, io);
}
