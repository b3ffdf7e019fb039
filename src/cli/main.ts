/**
 * The command line: finds the command, parses, runs it, and turns errors into one line and an exit code.
 *
 * Exit codes: 0 done; 1 failed; 2 wrong words (flag, key, type, range); 3 a number that is not finite, nothing applied;
 * 130 Ctrl-C and 143 SIGTERM, after saving.
 */
import yargs, {type Argv, type Options} from 'yargs';
import {ConfigError, RlftError, UnknownNameError} from '../errors.js';
import {nearest, suggestion} from '../nearest.js';
import {version} from '../run/packageInfo.js';
import {nameOf, type Arguments, type Command, type CommandBody, type Io} from './command.js';
import {commands as allCommands} from './commands.js';

/**
 * Runs one command line.
 *
 * @param args the words after `rlft`.
 * @returns the exit code; nothing is thrown.
 */
export async function main(args: readonly string[], io: Io, commands: readonly Command[] = allCommands): Promise<number> {
  try {
    await dispatch(args, io, commands);
  } catch (error) {
    const {lines, code} = describe(error);
    for (const line of lines) io.stderr.write(`rlft: ${line}\n`);
    return code;
  }
  if (!io.signal.aborted) return 0;
  return io.signal.reason === 'SIGTERM' ? 143 : 130;
}

/** What may stand where a command does. */
const notCommands = ['--help', '-h', '--version', '--get-yargs-completions', 'completion'];

async function dispatch(words: readonly string[], io: Io, commands: readonly Command[]): Promise<void> {
  const args = words[0] === 'help' ? [...words.slice(1), '--help'] : words;
  const [first] = args;
  if (first !== undefined && !notCommands.includes(first) && !commands.some((c) => nameOf(c) === first)) {
    if (first.startsWith('-'))
      throw new ConfigError(`${first}: wanted a command first, such as rlft ${nameOf(commands[0])} ${first}.`);
    throw new UnknownNameError(`unknown command "${first}"${suggestion(first, commands.map(nameOf))}`);
  }
  const required = commands.find((c) => nameOf(c) === first)?.usage.match(/<.*>/)?.[0];
  if (required !== undefined && args.length === 1)
    throw new ConfigError(`rlft ${first}: wanted ${required}; got nothing. See rlft ${first} --help.`);
  const parser = emptyParser();
  // What is called is noted, and run after yargs has done its part: what yargs throws is about the words, what a command throws is not.
  let called: (() => Promise<void>) | undefined;
  let broken: Error | undefined;
  for (const command of commands) {
    let body: CommandBody;
    let options: Readonly<Record<string, Options>>;
    parser.command({
      command: command.usage,
      describe: command.summary,
      builder: async (y: Argv) => {
        try {
          ({body} = await command.load());
          options = await body.options(args.slice(1));
        } catch (error) {
          broken = error as Error;
          throw error;
        }
        for (const [name, positional] of Object.entries(body.positionals ?? {})) y.positional(name, positional);
        for (const [example, does] of body.examples ?? []) y.example(example, does);
        return y.usage(`$0 ${command.usage}\n\n${command.summary}.`).options(options).wrap(100);
      },
      handler: (argv) => {
        called = async () => {
          checkFlags(argv, options, body, nameOf(command));
          await body.run(argv, io, args.slice(1));
        };
      },
    });
  }
  if (first === undefined) {
    io.stderr.write(`${await parser.getHelp()}\n`);
    throw new ConfigError('which command? They are listed above.');
  }
  try {
    await parser.parseAsync([...args], {}, (_error: unknown, _argv: unknown, output: string) => {
      if (output !== '') io.stdout.write(`${output}\n`);
    });
  } catch (cause) {
    throw broken ?? new ConfigError(oneLine((cause as Error).message), {cause});
  }
  await called?.();
}

/** The parser without commands: what all of them have in common. */
const emptyParser = (): Argv =>
  yargs([])
    .scriptName('rlft')
    .locale('en')
    .usage('$0 <command>\n\nFine-tunes text-to-video diffusion models by reinforcement learning.')
    .parserConfiguration({
      'camel-case-expansion': false,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
    })
    .version(version())
    .help()
    .alias('help', 'h')
    .completion('completion', 'Print a script that completes commands and flags in bash or zsh')
    .wrap(100)
    .fail(false)
    .exitProcess(false);

/** Refuses flags that the command does not have, flags given twice, and words too many. */
function checkFlags(argv: Arguments, options: Readonly<Record<string, Options>>, body: CommandBody, name: string): void {
  const positionals = Object.keys(body.positionals ?? {});
  const known = new Set([...Object.keys(options), ...positionals, '_', '$0', 'help', 'h', 'version']);
  const flags = [...Object.keys(options), 'help'];
  for (const [flag, value] of Object.entries(argv)) {
    if (!known.has(flag)) {
      const other = Object.hasOwn(body.otherNames ?? {}, flag) ? body.otherNames?.[flag] : undefined;
      const meant = other ?? nearest(flag, flags);
      const advice = meant === undefined ? `see rlft ${name} --help.` : `did you mean "--${meant}"?`;
      throw new UnknownNameError(`${flag.length === 1 ? '-' : '--'}${flag}: rlft ${name} has no such flag; ${advice}`);
    }
    const spec = options[flag] ?? body.positionals?.[flag];
    if (Array.isArray(value) && flag !== '_' && spec?.array !== true) {
      throw new ConfigError(`--${flag}: wanted once; given ${value.length} times.`);
    }
  }
  const extra = (argv['_'] as unknown[]).slice(1).map(String);
  if (extra.length > 0) throw new ConfigError(`rlft ${name}: did not expect "${extra.join(' ')}".`);
}

function describe(error: unknown): {lines: string[]; code: number} {
  if (process.env['RLFT_DEBUG']) return {lines: [String(error instanceof Error ? error.stack : error)], code: 1};
  if (error instanceof ConfigError) return {lines: error.message.split('\n'), code: error.exitCode};
  if (error instanceof RlftError) return {lines: [oneLine(error.message)], code: error.exitCode};
  const message = oneLine(error instanceof Error ? error.message : String(error));
  // Errors of the system say what failed; anything else is a fault of ours.
  if (error instanceof Error && 'syscall' in error) return {lines: [message], code: 1};
  return {lines: [`internal: ${message} (RLFT_DEBUG=1 shows where; please report it)`], code: 1};
}

const oneLine = (text: string): string => text.trim().replace(/\s*\n\s*/g, ' ');

/** The program: `main` on this process's words, streams and signals. */
export async function runAsProgram(commands: readonly Command[] = allCommands): Promise<void> {
  const args = process.argv.slice(2);
  const controller = new AbortController();
  const saves = commands.some((command) => nameOf(command) === args[0] && command.savesOnInterrupt === true);
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (!saves || controller.signal.aborted) process.exit(name === 'SIGTERM' ? 143 : 130);
      process.stderr.write(`\nrlft: ${name}: finishing this step and saving; once more to quit at once.\n`);
      controller.abort(name);
    });
  }
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error; // a reader that has seen enough is no reason to lose a run
    });
  }
  const code = await main(args, {stdout: process.stdout, stderr: process.stderr, signal: controller.signal}, commands);
  process.stdout.write('', () => process.exit(code));
}
