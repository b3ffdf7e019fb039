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
    [['run', 'ddpo', '--environment', 'nowhere'], /unknown environment "nowhere"; known: /],
    [['run', 'ddpo', '--preset', 'min'], /preset is one of nano, mini; got 'min'/],
    [['run', 'ddpo', '--seed', 'x'], /--seed: wanted a whole number; got "x"\./],
    [['run', 'ddpo', '--minutes', '0'], /--minutes: wanted a number > 0; got 0\./],
    [['run', 'ddpo', '--clip-range', '0.5'], /--clip-range clipRange: has no effect in this run: /],
    [['run', 'ddpo', '--sampler', 'flow'], /--sampler: wanted one of flowSde, ddim, cps, danceSde; got "flow"/],
    [['run', 'ddpo', '--lr', '1'], /--lr: rlft run has no such flag; did you mean "--learning-rate"\?/],
    [['run', 'ddpo', '--set', 'group_size=4'], /--set group_size: no such key; did you mean "samplesPerPrompt"\?/],
    [['run', 'ddpo', '--config', 'none.yaml'], /--config: cannot read none\.yaml: there is no such file or folder\./],
    [['run', 'ddpo', '--resume', 'none'], /none: wanted the folder of a run; it holds no config\.yaml\./],
    [['sample'], /rlft sample: wanted <captions\.\.>; got nothing\. See rlft sample --help\./],
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
