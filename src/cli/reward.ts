/** `rlft reward`: what rewards there are, and the verification card of one. */
import {z} from 'zod';
import {environments, rewards} from '../builtins.js';
import {openDevice} from '../engine/devices.js';
import {ConfigError} from '../errors.js';
import {rewardCard} from '../rewards/card.js';
import {resolveReward} from '../rewards/resolveReward.js';
import {resolveConfig} from '../run/config.js';
import {deviceSettings, rewardSettings} from '../run/runSchema.js';
import {rewardContext} from '../tune/rewardContext.js';
import {cardTable} from './cardLines.js';
import {printJson, type Arguments, type CommandBody, type Io} from './command.js';
import {configFlags, configSources} from './configFlags.js';

// The reward itself stands on the command line; there is nothing to print but the card.
const {reward: _reward, ...settings} = rewardSettings;
const schema = z.strictObject({
  environment: z.string().min(1).default('fluentClips').describe('World whose clips are scored.'),
  preset: z.string().min(1).default('mini').describe('Which size of the world.'),
  ...settings,
  device: z.string().min(1).default('cpu').describe('Where networks run; `rlft doctor` lists the devices.'),
  threads: deviceSettings.threads,
});

function list(argv: Arguments, io: Io): void {
  const all = rewards.names.map((name) => rewards.get(name));
  if (argv['json'] === true)
    return printJson(
      io,
      all.map(({name, unit, summary}) => ({name, unit, summary})),
    );
  const width = Math.max(...rewards.names.map((name) => name.length));
  for (const {name, summary} of all) io.stdout.write(`${name.padEnd(width)}  ${summary}\n`);
}

async function check(source: string, argv: Arguments, io: Io): Promise<void> {
  const {value: config} = resolveConfig(schema, await configSources(argv, schema));
  const module = await resolveReward(source, rewards, config.rewards);
  const environment = environments.get(config.environment).open(config.preset);
  const device = await openDevice(config.device, {threads: config.threads});
  const opened = rewardContext(environment, device, {...config, reward: source});
  try {
    const reward = await module.open(opened.context);
    try {
      opened.checkUsed();
      const card = await rewardCard(reward, environment, {clips: true});
      if (argv['json'] === true) printJson(io, card);
      else io.stdout.write([module.summary, ...cardTable(card)].map((line) => `${line}\n`).join(''));
    } finally {
      await reward.close?.();
    }
  } finally {
    await opened.close();
    await device.close();
  }
}

/** The command. */
export const body: CommandBody = {
  positionals: {
    action: {type: 'string', choices: ['list', 'check'], describe: 'What to do', demandOption: true},
    reward: {type: 'string', describe: 'To check: a name, an expression, a file ./mine.ts#name, or the URL of a server'},
  },
  options: () => {
    const {'print-config': _printed, ...flags} = configFlags(schema);
    return {...flags, json: {type: 'boolean', describe: 'Print one JSON value'}};
  },
  examples: [
    ['rlft reward list', 'the rewards that have names'],
    ['rlft reward check judge', 'range, speed, gradient, and whether its weights are the right ones'],
    ['rlft reward check "judge + 0.1*mine" --set rewards.mine=./mine.ts#redness', 'the same of an expression with your own'],
  ],
  async run(argv, io) {
    const source = argv['reward'] as string | undefined;
    if (argv['action'] === 'list') {
      if (source !== undefined) throw new ConfigError(`rlft reward list: did not expect "${source}".`);
      return list(argv, io);
    }
    if (source === undefined) throw new ConfigError('rlft reward check: wanted a reward, such as judge; got nothing.');
    await check(source, argv, io);
  },
};
