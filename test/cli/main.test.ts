import {expect} from 'chai';
import type {Command, CommandBody} from '../../src/cli/command.js';
import {CorruptFileError, DeviceError, NonFiniteError, RlftError} from '../../src/errors.js';
import {version} from '../../src/run/packageInfo.js';
import {runCommand, type Outcome} from '../support/runCommand.js';

const loaded: string[] = [];

/** A command that does what its flags say. */
const body: CommandBody = {
  positionals: {what: {type: 'string'}},
  options: (args) => ({
    seed: {type: 'string', requiresArg: true, describe: 'A seed'},
    set: {type: 'string', array: true, nargs: 1},
    json: {type: 'boolean'},
    ...(args[0] === 'special' && {'only-special': {type: 'boolean'}}),
  }),
  otherNames: {rng: 'seed'},
  async run(argv, io, args) {
    const what = argv['what'] as string;
    if (what === 'echo') io.stdout.write(JSON.stringify({...argv, args}));
    if (what === 'corrupt') throw new CorruptFileError('x.safetensors: torn.');
    if (what === 'device') throw new DeviceError('no cuda.');
    if (what === 'nan') throw new NonFiniteError('iteration 3: NaN.');
    if (what === 'lines') throw new RlftError('one\n   two');
    if (what === 'bug') throw new TypeError('x is undefined\n    at nowhere');
    if (what === 'string') throw 'thrown text'; // eslint-disable-line @typescript-eslint/only-throw-error
    if (what === 'system') throw Object.assign(new Error('ENOSPC: no space left on device, write'), {syscall: 'write'});
  },
};

const fakes: readonly Command[] = [
  {
    usage: 'run <what>',
    summary: 'Run something',
    load: async () => {
      loaded.push('run');
      return {body};
    },
  },
  {
    usage: 'sample',
    summary: 'Sample something',
    load: async () => {
      loaded.push('sample');
      return {body: {options: () => ({}), run: async () => undefined}};
    },
  },
];

const run = (...args: string[]): Promise<Outcome> => runCommand(args, {commands: fakes});

describe('cli/main', () => {
  it('hands flags and words over as they were typed', async () => {
    const {code, stdout, stderr} = await run('run', 'echo', '--seed', '007', '--set', 'a=1', '--set', 'b.c=2', '--json');
    expect({code, stderr}).to.deep.equal({code: 0, stderr: ''});
    const argv = JSON.parse(stdout) as Record<string, unknown>;
    expect(argv).to.deep.include({what: 'echo', seed: '007', set: ['a=1', 'b.c=2'], json: true});
    expect(argv['args']).to.deep.equal(['echo', '--seed', '007', '--set', 'a=1', '--set', 'b.c=2', '--json']);
  });

  it('takes --flag=value, an empty value and a negative number', async () => {
    for (const [typed, got] of [
      [['--seed=5'], '5'],
      [['--seed='], ''],
      [['--seed', '-1'], '-1'],
    ] as const) {
      expect(JSON.parse((await run('run', 'echo', ...typed)).stdout)).to.deep.include({seed: got});
    }
  });

  it('loads only the command that is called, and none for --help', async () => {
    loaded.length = 0;
    await run('--help');
    expect(loaded).to.deep.equal([]);
    await run('run', 'echo');
    expect(loaded).to.deep.equal(['run']);
  });

  describe('help', () => {
    it('goes to stdout with code 0, in all its forms', async () => {
      for (const args of [['--help'], ['-h'], ['help']]) {
        const {code, stdout, stderr} = await run(...args);
        expect({code, stderr}).to.deep.equal({code: 0, stderr: ''});
        expect(stdout).to.match(/rlft run <what> +Run something\n/);
      }
      for (const args of [
        ['run', '--help'],
        ['help', 'run'],
        ['run', 'echo', '-h'],
      ]) {
        const {code, stdout} = await run(...args);
        expect(code).to.equal(0);
        expect(stdout).to.match(/^rlft run <what>\n\nRun something\.\n[^]*--seed +A seed/);
      }
    });

    it('shows flags that depend on the words', async () => {
      expect((await run('run', 'special', '--help')).stdout).to.include('--only-special');
      expect((await run('run', 'other', '--help')).stdout).to.not.include('--only-special');
    });

    it('goes to stderr with code 2 when no command is given', async () => {
      const {code, stdout, stderr} = await run();
      expect({code, stdout}).to.deep.equal({code: 2, stdout: ''});
      expect(stderr).to.match(/Commands:[^]*\nrlft: which command\? They are listed above\.\n$/);
    });
  });

  it('prints its version', async () => {
    expect(await run('--version')).to.deep.equal({code: 0, stdout: `${version()}\n`, stderr: ''});
  });

  describe('wrong words give one line on stderr, nothing on stdout and code 2:', () => {
    const wrong: [args: string[], says: string | RegExp][] = [
      [['rnu'], 'unknown command "rnu"; did you mean "run"?'],
      [['frobnicate'], 'unknown command "frobnicate"; known: run, sample.'],
      [['--seed', '1'], '--seed: wanted a command first, such as rlft run --seed.'],
      [['run', 'echo', '--sede', '1'], '--sede: rlft run has no such flag; did you mean "--seed"?'],
      [['run', 'echo', '--rng', '1'], '--rng: rlft run has no such flag; did you mean "--seed"?'],
      [['run', 'echo', '--frobnicate'], '--frobnicate: rlft run has no such flag; see rlft run --help.'],
      [['run', 'echo', '-x'], '-x: rlft run has no such flag; see rlft run --help.'],
      [['run', 'echo', '--only-special'], '--only-special: rlft run has no such flag; see rlft run --help.'],
      [['run', 'echo', '--seed', '1', '--seed', '2'], '--seed: wanted once; given 2 times.'],
      [['run', 'echo', 'more', 'words'], 'rlft run: did not expect "more words".'],
      [['run', 'echo', '--__proto__', 'x'], /no such flag/],
      [['run', 'echo', '--constructor', 'x'], /./],
      [['run'], 'rlft run: wanted <what>; got nothing. See rlft run --help.'],
      [['run', '--json'], /^Not enough non-option arguments/],
      [['run', 'echo', '--seed'], /^Not enough arguments following: seed$/],
    ];
    for (const [args, says] of wrong) {
      it(args.join(' '), async () => {
        const {code, stdout, stderr} = await run(...args);
        expect({code, stdout}).to.deep.equal({code: 2, stdout: ''});
        expect(stderr).to.match(/^rlft: [^\n]+\n$/);
        const line = stderr.slice(6, -1);
        if (typeof says === 'string') expect(line).to.equal(says);
        else expect(line).to.match(says);
      });
    }
  });

  describe('errors become one line and a code:', () => {
    const errors: [what: string, code: number, says: string][] = [
      ['corrupt', 1, 'x.safetensors: torn.'],
      ['device', 2, 'no cuda.'],
      ['nan', 3, 'iteration 3: NaN.'],
      ['lines', 1, 'one two'],
      ['system', 1, 'ENOSPC: no space left on device, write'],
      ['bug', 1, 'internal: x is undefined at nowhere (RLFT_DEBUG=1 shows where; please report it)'],
      ['string', 1, 'internal: thrown text (RLFT_DEBUG=1 shows where; please report it)'],
    ];
    for (const [what, code, says] of errors) {
      it(what, async () => {
        expect(await run('run', what)).to.deep.equal({code, stdout: '', stderr: `rlft: ${says}\n`});
      });
    }

    it('and a stack when RLFT_DEBUG asks for it', async () => {
      process.env['RLFT_DEBUG'] = '1';
      try {
        expect((await run('run', 'bug')).stderr).to.match(/TypeError: x is undefined[^]*main\.test\.ts/);
      } finally {
        delete process.env['RLFT_DEBUG'];
      }
    });
  });

  it('does not take a command that cannot be loaded for wrong words', async () => {
    const unloadable: Command = {usage: 'bad', summary: 'Bad', load: () => Promise.reject(new Error('no module'))};
    const {code, stderr} = await runCommand(['bad'], {commands: [unloadable]});
    expect(code).to.equal(1);
    expect(stderr).to.match(/^rlft: internal: no module /);
  });

  it('exits 130 after Ctrl-C and 143 after SIGTERM once the command has returned', async () => {
    for (const [name, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const signal = AbortSignal.abort(name);
      expect((await runCommand(['sample'], {commands: fakes, signal})).code).to.equal(code);
    }
  });
});
