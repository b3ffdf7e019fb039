/** Runs a command line inside the test's process. */
import type {Command} from '../../src/cli/command.js';
import {main} from '../../src/cli/main.js';

/** What a command line did. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `rlft …args`; `commands` replaces the list of commands, `signal` is the one that Ctrl-C aborts. */
export async function runCommand(
  args: readonly string[],
  {commands, signal = new AbortController().signal}: {commands?: readonly Command[]; signal?: AbortSignal} = {},
): Promise<Outcome> {
  const text = {stdout: '', stderr: ''};
  const io = {
    stdout: {write: (s: string) => (text.stdout += s)},
    stderr: {write: (s: string) => (text.stderr += s)},
    signal,
  };
  const code = await main(args, io, commands);
  return {code, ...text};
}
