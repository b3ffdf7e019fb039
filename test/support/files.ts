/** Folders for tests, and the questions that tests ask about files. */
import {spawnSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

/** A fresh folder for every test of the surrounding `describe`, removed after it. Call the result inside the test. */
export function temporaryFolder(): () => string {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'rlft-test-'));
  });
  afterEach(() => rmSync(folder, {recursive: true, force: true}));
  return () => folder;
}

/** What a promise is rejected with; fails if it is not. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  const outcome = await promise.then(
    (value) => ({value}),
    (error: unknown) => ({error}),
  );
  if ('error' in outcome) return outcome.error as Error;
  throw new Error(`expected a rejection, got ${JSON.stringify(outcome.value)}`);
}

/** Runs a test on a disk of 256 KiB, or skips it where the machine does not let us make one. */
export async function onTinyDisk(test: Mocha.Context, folder: string, run: (disk: string) => Promise<void>): Promise<void> {
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk]).status !== 0) return test.skip();
  try {
    await run(disk);
  } finally {
    spawnSync('umount', [disk]);
  }
}
