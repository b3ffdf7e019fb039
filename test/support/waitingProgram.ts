/** A program of four commands for the tests of signals and closed pipes. */
import type {Command, Io} from '../../src/cli/command.js';
import {runAsProgram} from '../../src/cli/main.js';

const command = (usage: string, savesOnInterrupt: boolean, run: (io: Io) => Promise<void>): Command => ({
  usage,
  summary: 'Wait',
  savesOnInterrupt,
  load: async () => ({body: {options: () => ({}), run: (_argv, io) => run(io)}}),
});

/** Waits for the interruption, or for ever if `deaf`. */
async function wait(io: Io, deaf: boolean): Promise<void> {
  io.stderr.write('ready\n');
  await new Promise<void>((resolve) => {
    const keepAlive = setInterval(() => {
      if (deaf || !io.signal.aborted) return;
      clearInterval(keepAlive);
      resolve();
    }, 5);
  });
  io.stdout.write('saved\n');
}

await runAsProgram([
  command('train', true, (io) => wait(io, false)),
  command('stuck', true, (io) => wait(io, true)),
  command('look', false, (io) => wait(io, true)),
  command('talk', false, async (io) => {
    for (let i = 0; i < 20000; i++) io.stdout.write(`line ${i}\n`);
    await new Promise((resolve) => setTimeout(resolve, 50));
    io.stderr.write('finished\n');
  }),
]);
