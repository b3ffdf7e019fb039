import {expect} from 'chai';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {z} from 'zod';
import type {Command} from '../../src/cli/command.js';
import {configFlags, configSources, otherFlagNames} from '../../src/cli/configFlags.js';
import {optimizerOptions, peerNames, policyGradientOptions} from '../../src/options.js';
import {renderConfig, resolveConfig} from '../../src/run/config.js';
import {runSchema} from '../../src/run/runSchema.js';
import {temporaryFolder} from '../support/files.js';
import {runCommand, type Outcome} from '../support/runCommand.js';

const schema = runSchema({
  options: z.strictObject({
    ...optimizerOptions,
    ...policyGradientOptions,
    same: z.boolean().default(false).describe('A switch.'),
  }),
  defaults: {algorithm: 'toy', environment: 'world', preset: 'nano', reward: 'judge', minutes: 2},
});

/** A command with a configuration, as `run` is one: it prints what it understood. */
const command: Command = {
  usage: 'run <algorithm>',
  summary: 'Run',
  load: async () => ({
    body: {
      positionals: {algorithm: {type: 'string'}},
      options: () => configFlags(schema, ['algorithm']),
      otherNames: otherFlagNames,
      async run(argv, io) {
        const {value, origins} = resolveConfig(schema, await configSources(argv, schema, ['algorithm']), peerNames);
        if (argv['print-config'] === true) io.stdout.write(renderConfig(schema, value, origins));
        else io.stdout.write(JSON.stringify(value));
      },
    },
  }),
};

const run = (...args: string[]): Promise<Outcome> => runCommand(['run', 'toy', ...args], {commands: [command]});

describe('cli/configFlags', () => {
  const folder = temporaryFolder();

  it('gives every key a flag, with its default and meaning in the help', async () => {
    const {stdout} = await runCommand(['run', '--help'], {commands: [command]});
    expect(stdout.replace(/\s+/g, ' ')).to.include('--learning-rate Step size of AdamW; > 0. [string] [default: 0.0001]');
    expect(stdout).to.include('--evaluation-every');
    expect(stdout).to.not.include('--algorithm');
  });

  it('puts flags over --set over the file', async () => {
    const path = join(folder(), 'my.yaml');
    writeFileSync(path, 'seed: 1\nthreads: 1\npreset: mini\n');
    const {code, stdout} = await run(
      '--config',
      path,
      '--set',
      'seed=2',
      '--set',
      'threads=2',
      '--seed',
      '3',
      '--evaluation-every',
      '4',
      '--same',
    );
    expect(code).to.equal(0);
    const config = JSON.parse(stdout) as {evaluation: unknown};
    expect(config).to.deep.include({algorithm: 'toy', seed: 3, threads: 2, preset: 'mini', same: true});
    expect(config.evaluation).to.deep.include({every: 4});
  });

  it('prints the resolved configuration with the source of each value', async () => {
    const {stdout} = await run('--print-config', '--set', 'seed=2', '--learning-rate', '1e-5');
    expect(stdout).to.match(/\nseed: 2 # from --set\n/);
    expect(stdout).to.match(/\nlearningRate: 0\.00001 # from --learning-rate\n/);
    expect(stdout).to.match(/\nthreads: 0\n/);
  });

  const wrong: [args: string[], says: string][] = [
    [['--learning-rate', 'fast'], '--learning-rate: wanted a number; got "fast".'],
    [['--learning-rate', '-1'], '--learning-rate: wanted a number > 0; got -1.'],
    [['--sampler', 'flwSde'], '--sampler: wanted one of flowSde, ddim, cps, danceSde; got "flwSde"; did you mean "flowSde"?'],
    [['--lr', '1'], '--lr: rlft run has no such flag; did you mean "--learning-rate"?'],
    [['--num-generations', '1'], '--num-generations: rlft run has no such flag; did you mean "--samples-per-prompt"?'],
    [['--learning_rate', '1'], '--learning_rate: rlft run has no such flag; did you mean "--learning-rate"?'],
    [['--learningRate', '1'], '--learningRate: rlft run has no such flag; did you mean "--learning-rate"?'],
    [['--set', 'lr=1'], '--set lr: no such key; did you mean "learningRate"?'],
    [['--config', 'none.yaml'], '--config: cannot read none.yaml: there is no such file or folder.'],
  ];
  for (const [args, says] of wrong) {
    it(`answers ${args.join(' ')} in one line with code 2`, async () => {
      expect(await run(...args)).to.deep.equal({code: 2, stdout: '', stderr: `rlft: ${says}\n`});
    });
  }

  it('answers several faults in one line each', async () => {
    const {code, stderr} = await run('--seed', 'x', '--threads', 'y');
    expect(code).to.equal(2);
    expect(stderr).to.equal('rlft: --seed: wanted a whole number; got "x".\nrlft: --threads: wanted a whole number; got "y".\n');
  });
});
