/** Words that the real commands must refuse, before any work: one line, the right code, nothing on stdout, nothing on the disk. */
import {expect} from 'chai';
import {existsSync, mkdirSync, readdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {temporaryFolder} from '../support/files.js';
import {runCommand} from '../support/runCommand.js';

describe('cli: bad input', function () {
  this.timeout(60_000);
  const folder = temporaryFolder();

  const wrong: [words: string[], says: RegExp][] = [
    [['run', 'ddop'], /unknown algorithm "ddop"; did you mean "ddpo"\?/],
    [['run', 'ddpo', '--reward', 'judg'], /unknown reward "judg"; did you mean "judge"\?/],
    [['run', 'ddpo', '--reward', 'judge + brightnes'], /column 9: unknown reward "brightnes"; did you mean "brightness"\?/],
    [['run', 'ddpo', '--reward', 'judge.constructor'], /reward, column 6: wanted names, numbers/],
    [['run', 'ddpo', '--reward', 'import("fs")'], /reward, column 8: wanted names, numbers/],
    [['run', 'ddpo', '--reward', 'judge = 3'], /reward, column 7: /],
    [['run', 'ddpo', '--reward', '1e999*judge'], /reward, column 1: wanted numbers from/],
    [['run', 'ddpo', '--reward', `${'('.repeat(99)}judge${')'.repeat(99)}`], /wanted at most 32 levels/],
    [['run', 'ddpo', '--reward', 'judge\u00a0+ judge'], /reward, column 6: .*U\+00A0/],
    [['run', 'ddpo', '--reward', './none.ts#a'], /reward \.\/none\.ts: there is no such file/],
    [['run', 'ddpo', '--reward', 'ftp://host/x'], /reward, column 4: /],
    [['run', 'ddpo', '--reward', 'http://me:word@host/x'], /without user and password/],
    [['run', 'ddpo', '--set', 'rewards.mine=./none.ts#a'], /rewards\.mine: has no effect in this run/],
    [['run', 'ddpo', '--set', 'rewards.judge=./none.ts#a'], /rewards\.judge: the name is taken/],
    [['reward'], /rlft reward: wanted <action>; got nothing/],
    [['reward', 'chek', 'judge'], /Invalid values: .*action.*"list", "check"/],
    [['reward', 'check'], /rlft reward check: wanted a reward, such as judge; got nothing/],
    [['reward', 'check', 'judg'], /unknown reward "judg"; did you mean "judge"\?/],
    [['reward', 'check', 'judge', '--preset', 'min'], /preset is one of nano, mini/],
    [['reward', 'check', 'judge', '--encoder', 'b', '--preset', 'nano', '--threads', '1'], /encoder: has no effect in this run/],
    [['reward', 'list', 'judge'], /rlft reward list: did not expect "judge"/],
    [['run', 'ddpo', '--environment', 'nowhere'], /unknown environment "nowhere"; known: /],
    [['run', 'ddpo', '--preset', 'min'], /preset is one of nano, mini; got 'min'/],
    [['run', 'ddpo', '--seed', 'x'], /--seed: wanted a whole number; got "x"\./],
    [['run', 'ddpo', '--minutes', '0'], /--minutes: wanted a number > 0; got 0\./],
    [['run', 'ddpo', '--clip-range', '0.5'], /--clip-range clipRange: has no effect in this run: /],
    [['run', 'ddpo', '--sampler', 'flow'], /--sampler: wanted one of flowSde, ddim, cps, danceSde; got "flow"/],
    [
      ['run', 'grpo', '--floors', '{judge: 1}'],
      /--floors floors: has no effect in this run: only combination constrained keeps floors/,
    ],
    [['run', 'grpo', '--set', 'floors.judge=1'], /--set floors: has no effect in this run/],
    [['run', 'grpo', '--window-size', '8'], /--window-size: wanted fewer than the 8 samplingSteps/],
    [
      ['run', 'grpo', '--kl-mask-threshold', '1'],
      /--kl-mask-threshold: rlft run has no such flag; did you mean "--kl-threshold"\?/,
    ],
    [['run', 'ddpo', '--lr', '1'], /--lr: rlft run has no such flag; did you mean "--learning-rate"\?/],
    [['run', 'ddpo', '--set', 'group_size=4'], /--set group_size: no such key; did you mean "samplesPerPrompt"\?/],
    [['run', 'ddpo', '--config', 'none.yaml'], /--config: cannot read none\.yaml: there is no such file or folder\./],
    [['run', 'ddpo', '--resume', 'none'], /none: wanted the folder of a run; it holds no config\.yaml\./],
    [['run', 'nft', '--noise-level', '0.5'], /--noise-level noiseLevel: has no effect in this run: rollouts follow the ODE/],
    [
      ['run', 'nft', '--sampler', 'cps'],
      /--sampler sampler: has no effect in this run: .*the same for flowSde, cps and danceSde/,
    ],
    [['run', 'nft', '--mix-beta', '0.5'], /--mix-beta mixBeta: has no effect in this run: with one update/],
    [['run', 'nft', '--clip-range', '0.1'], /--clip-range: rlft run has no such flag/],
    [['sample'], /rlft sample: wanted <captions\.\.>; got nothing\. See rlft sample --help\./],
    [['pretrain', 'encodr'], /unknown network "encodr"; did you mean "encoder"\?/],
    [['pretrain', 'encoder', '--encoder', 'c'], /unknown encoder "c"; known: a, b\./],
    [['pretrain', 'encoder', '--environment', 'gaussianToy', '--preset', 'pixel'], /gaussianToy has no encoders/],
    [['pretrain', 'encoder', '--queue', '32'], /--queue: wanted at least the batch of 64 pairs; got 32\./],
    [['pretrain', 'encoder', '--batch', '1'], /--batch: wanted a whole number ≥ 2; got 1\./],
    [['pretrain', 'encoder', '--stills', '5'], /--stills: rlft pretrain has no such flag/],
    [['pretrain', '--presett', 'x'], /--presett: rlft pretrain has no such flag; did you mean "--preset"\?/],
  ];
  for (const [words, says] of wrong) {
    it(`rlft ${words.join(' ')}`, async () => {
      const {code, stdout, stderr} = await runCommand(words);
      expect(stderr).to.match(/^rlft: [^\n]+\n$/);
      expect(stderr).to.match(says);
      expect({code, stdout}).to.deep.equal({code: 2, stdout: ''});
    });
  }

  it('a folder that is not empty is refused and left as it is', async () => {
    writeFileSync(join(folder(), 'thesis.txt'), 'x');
    const {code, stderr} = await runCommand(['run', 'ddpo', '--output-dir', folder()]);
    expect(code).to.equal(2);
    expect(stderr).to.match(/^rlft: --output-dir [^\n]+ --force to replace the run in it\.\n$/);
    expect(readdirSync(folder())).to.deep.equal(['thesis.txt']);
  });

  it('several faults of a file are named with line and column, each on its line', async () => {
    const path = join(folder(), 'my.yaml');
    writeFileSync(path, 'seed: many\nlearning_rate: 1e-4\n');
    const {code, stderr} = await runCommand(['run', 'ddpo', '--config', path]);
    expect(code).to.equal(2);
    expect(stderr.replaceAll(path, 'my.yaml')).to.equal(
      'rlft: my.yaml:1:1 seed: wanted a whole number; got "many".\nrlft: my.yaml:2:1 learning_rate: no such key; did you mean "learningRate"?\n',
    );
  });

  it('a configuration of another algorithm is refused', async () => {
    const path = join(folder(), 'my.yaml');
    writeFileSync(path, 'algorithm: grpo\n');
    const {code, stderr} = await runCommand(['run', 'ddpo', '--config', path]);
    expect(code).to.equal(2);
    expect(stderr).to.match(/^rlft: [^\n]*"grpo"[^\n]*"ddpo"[^\n]*\n$/);
  });

  it('--print-config shows the settings and their sources, and starts nothing', async () => {
    const output = join(folder(), 'run');
    const {code, stdout, stderr} = await runCommand(['run', 'ddpo', '--print-config', '--seed', '7', '--output-dir', output]);
    expect({code, stderr}).to.deep.equal({code: 0, stderr: ''});
    expect(stdout).to.match(/\nseed: 7 # from --seed\n/);
    expect(existsSync(output)).to.equal(false);
  });

  it('--resume does not take the algorithm for a changed setting', async () => {
    const run = join(folder(), 'run');
    mkdirSync(run);
    const {stdout} = await runCommand(['run', 'ddpo', '--print-config', '--preset', 'nano']);
    writeFileSync(join(run, 'config.yaml'), stdout);
    expect((await runCommand(['run', 'ddpo', '--resume', run, '--print-config'])).code).to.equal(0);
    const changed = await runCommand(['run', 'ddpo', '--resume', run, '--print-config', '--seed', '8']);
    expect(changed.code).to.equal(2);
    expect(changed.stderr).to.match(/only --minutes and --iterations may be given anew, not seed\.\n$/);
  });
});
