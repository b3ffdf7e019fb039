/**
 * What a command is. To add one, called `frobnicate`:
 *
 * 1. Write the function that does the work in `src/` (not here), with an AbortSignal if it takes long.
 * 2. Write `src/cli/frobnicate.ts`: parsing and printing only, exporting a `body: CommandBody`.
 * 3. Add its line to `commands.ts`; the import stays inside `load`, so that `rlft --help` does not load it.
 * 4. Write `test/cli/frobnicate.test.ts`: `runCommand(['frobnicate', …])` gives code, stdout and stderr.
 */
import type {Options, PositionalOptions} from 'yargs';

/** A stream to write to; `process.stdout` is one. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** The outside of a command. Data goes to `stdout`; progress, notes and errors to `stderr`. */
export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  /** Aborted by the first Ctrl-C or SIGTERM; the command then saves and returns, and the program exits 130 or 143. */
  readonly signal: AbortSignal;
}

/** Arguments by the names that the command gave them, unconverted. */
export type Arguments = Readonly<Record<string, unknown>>;

/** The part of a command that is loaded when it is called. */
export interface CommandBody {
  readonly positionals?: Readonly<Record<string, PositionalOptions>>;
  /** Flags by their names without dashes in front; `args` are the words after the command, for flags that depend on them. */
  options(args: readonly string[]): Readonly<Record<string, Options>> | Promise<Readonly<Record<string, Options>>>;
  /** Other projects' names for the flags: `lr` → `learning-rate`. */
  readonly otherNames?: Readonly<Record<string, string>>;
  readonly examples?: readonly (readonly [command: string, does: string])[];
  /**
   * Does it.
   *
   * @throws RlftError: its message goes to stderr, one line each, and its `exitCode` is the program's.
   */
  run(argv: Arguments, io: Io, args: readonly string[]): Promise<void>;
}

/** A command as the list of commands shows it. */
export interface Command {
  /** First word, then positionals: `run <algorithm>`. */
  readonly usage: string;
  readonly summary: string;
  /** Whether Ctrl-C lets it finish what it holds and save; other commands end at once. */
  readonly savesOnInterrupt?: boolean;
  load(): Promise<{readonly body: CommandBody}>;
}

/** First word of a command's usage. */
export const nameOf = (command: Command): string => command.usage.split(' ')[0];

/** Prints the one object of `--json`. */
export const printJson = (io: Io, value: unknown): void => void io.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
