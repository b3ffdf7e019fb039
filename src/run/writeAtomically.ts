/** Files appear whole or not at all: written under a temporary name, synced, renamed, and the folder synced. */
import {open, rename, rm} from 'node:fs/promises';
import {basename, dirname, join} from 'node:path';
import {RlftError} from '../errors.js';

/**
 * Writes a file so that a reader, now or after a crash, sees the old content or the new one and never a part.
 *
 * @param pieces the content, in order; strings are written as UTF-8.
 * @throws RlftError naming the file and the cause (no space, no permission); the temporary file is removed.
 */
export async function writeAtomically(path: string, pieces: readonly (Uint8Array | string)[]): Promise<void> {
  const draft = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  try {
    const file = await open(draft, 'w');
    try {
      for (const piece of pieces) await file.writeFile(piece);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (cause) {
    await rm(draft, {force: true}).catch(() => undefined);
    throw fileError('write', path, cause);
  }
  await syncFolder(dirname(path));
}

/** Makes a rename survive a power cut. Not every file system can: those that refuse are as safe as they get. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}

const remedies: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left on the device; free some and go on with --resume',
  EDQUOT: 'the disk quota is used up; free some space and go on with --resume',
  EACCES: 'permission is denied',
  EPERM: 'permission is denied',
  EROFS: 'the file system is read-only',
  ENOENT: 'there is no such file or folder',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is not a folder',
  EMFILE: 'too many files are open',
};

/** A failure of the file system in one line: what was tried, on which file, and what to do about it. */
export function fileError(verb: string, path: string, cause: unknown): RlftError {
  if (cause instanceof RlftError) return cause;
  const code = (cause as NodeJS.ErrnoException).code ?? '';
  return new RlftError(`cannot ${verb} ${path}: ${remedies[code] ?? (cause as Error).message}.`, {cause});
}
