/**
 * Checkpoints: everything a run needs to go on bit for bit, in one file each.
 *
 * A checkpoint is a safetensors file. Its metadata holds `sha256`, of the whole file with that value taken as zeros, and `meta`,
 * the JSON part of the state. One file, so that there is no second one that could disagree with it.
 */
import {createHash} from 'node:crypto';
import {createReadStream} from 'node:fs';
import {mkdir, readdir, rm} from 'node:fs/promises';
import {basename, join} from 'node:path';
import {CorruptFileError, RlftError} from '../errors.js';
import {encodeSafetensors, lengthBytes} from '../tensor/safetensors.js';
import type {Params} from '../tensor/tree.js';
import {readWeights} from './weights.js';
import {fileError, writeAtomically} from './writeAtomically.js';

/** A value that JSON keeps exactly. Numbers must be finite. */
export type Json = null | boolean | number | string | readonly Json[] | {readonly [key: string]: Json};

/** What a run puts away: arrays and everything else. Empty branches of `state` are not kept. */
export interface Snapshot {
  readonly state: Params;
  readonly meta: Json;
}

/** A checkpoint on the disk, not yet read. */
export interface CheckpointFile {
  /** Iterations that were complete when it was written. */
  readonly iteration: number;
  readonly path: string;
}

const format = 'rlft-checkpoint-1';
const digits = 8;
const zeros = '0'.repeat(64);
const opening = '{"__metadata__":{"sha256":"';
const hashAt = lengthBytes + opening.length;
const nameOf = (iteration: number): string => `${String(iteration).padStart(digits, '0')}.safetensors`;

/**
 * Writes a checkpoint, then removes all but the newest `keep`.
 *
 * @param folder the run's `checkpoints/`; made if it is missing.
 * @param iteration iterations complete, ≥ 0; it names the file.
 * @param keep how many to keep, ≥ 1. At least 2 leaves one to fall back on.
 * @throws RlftError if it cannot be written; the earlier ones are untouched then.
 */
export async function saveCheckpoint(folder: string, iteration: number, {state, meta}: Snapshot, keep: number): Promise<string> {
  await mkdir(folder, {recursive: true}).catch((cause: unknown) => Promise.reject(fileError('make', folder, cause)));
  const metadata = {sha256: zeros, format, iteration: String(iteration), meta: stringifyExactly(meta)};
  const pieces = encodeSafetensors(state, {metadata});
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  pieces[0].set(new TextEncoder().encode(hash.digest('hex')), hashAt);
  const path = join(folder, nameOf(iteration));
  await writeAtomically(path, pieces);
  const older = (await listCheckpoints(folder)).filter((c) => c.iteration <= iteration).slice(keep);
  for (const {path: old} of older) await rm(old, {force: true});
  return path;
}

/** JSON that reads back as the same value: what JSON would bend (NaN, Infinity) is our bug, and is named. */
function stringifyExactly(meta: Json): string {
  return JSON.stringify(meta, (key, value: unknown) => {
    if (typeof value === 'number' && !Number.isFinite(value)) {
      throw new RlftError(`internal: checkpoint: "${key}" is ${value}, which JSON does not hold.`);
    }
    return value;
  });
}

/** The checkpoints of a folder, newest first; none if the folder is missing. */
export async function listCheckpoints(folder: string): Promise<CheckpointFile[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .filter((name) => /^\d{8,}\.safetensors$/.test(name))
    .map((name) => ({iteration: parseInt(name, 10), path: join(folder, name)}))
    .sort((a, b) => b.iteration - a.iteration);
}

/**
 * Reads one checkpoint after checking every byte of it.
 *
 * @throws CorruptFileError, naming the file, if it is torn or altered or not a checkpoint.
 */
export async function loadCheckpoint(path: string): Promise<Snapshot & {readonly iteration: number}> {
  const {written, actual} = await hashes(path);
  if (written !== actual)
    throw new CorruptFileError(`${path}: this checkpoint is torn or altered (its checksum does not match).`);
  const {params, metadata} = await readWeights(path);
  const iteration = Number(metadata['iteration']);
  if (metadata['format'] !== format || !Number.isSafeInteger(iteration)) {
    throw new CorruptFileError(`${path}: not a checkpoint of this version (${format}); it says "${metadata['format'] ?? ''}".`);
  }
  return {state: params, meta: JSON.parse(metadata['meta'] ?? 'null') as Json, iteration};
}

/** The checksum that a file carries, and the one that its bytes have. */
async function hashes(path: string): Promise<{written: string; actual: string}> {
  const hash = createHash('sha256');
  let written = '';
  let at = 0;
  try {
    for await (const chunk of createReadStream(path, {highWaterMark: 2 ** 20}) as AsyncIterable<Buffer>) {
      const from = Math.max(hashAt - at, 0);
      const to = Math.min(hashAt + zeros.length - at, chunk.length);
      if (from < to) {
        written += chunk.toString('latin1', from, to);
        chunk.fill(0x30, from, to);
      }
      hash.update(chunk);
      at += chunk.length;
    }
  } catch (cause) {
    throw fileError('read', path, cause);
  }
  return {written, actual: hash.digest('hex')};
}

/**
 * The checkpoint to resume from: the newest.
 *
 * @param folder the run's `checkpoints/`.
 * @throws RlftError if there is none; CorruptFileError if it is torn or altered, offering the newest good one before it.
 */
export async function loadForResume(folder: string): Promise<Snapshot & {readonly iteration: number}> {
  const [newest, ...older] = await listCheckpoints(folder);
  if (newest === undefined) throw new RlftError(`resume: ${folder} holds no checkpoint.`);
  try {
    return await loadCheckpoint(newest.path);
  } catch (error) {
    if (!(error instanceof CorruptFileError)) throw error;
    throw new CorruptFileError(`${error.message} ${await offer(older)}`, {cause: error});
  }
}

async function offer(older: readonly CheckpointFile[]): Promise<string> {
  for (const {iteration, path} of older) {
    const good = await loadCheckpoint(path).then(
      () => true,
      () => false,
    );
    if (good) return `${basename(path)}, after ${iteration} iterations, is good: delete the newer ones to resume from it.`;
  }
  return 'No earlier checkpoint is good.';
}

/** Removes what a killed process had half written in a folder; to be called when a run is resumed, so that no other process writes there. */
export async function removeDrafts(folder: string): Promise<void> {
  const drafts = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.tmp'));
  for (const name of drafts) await rm(join(folder, name), {force: true});
}
