/** Parameters in safetensors files: written whole or not at all, read one tensor at a time. */
import {open, type FileHandle} from 'node:fs/promises';
import {fileURLToPath} from 'node:url';
import {CorruptFileError, RlftError} from '../errors.js';
import type {NdArray} from '../tensor/ndarray.js';
import {
  decodeTensor,
  encodeSafetensors,
  headerBytes,
  lengthBytes,
  parseHeader,
  treeOf,
  type EncodeOptions,
  type SafetensorsHeader,
  type TensorEntry,
} from '../tensor/safetensors.js';
import type {Params} from '../tensor/tree.js';
import {fileError, writeAtomically} from './writeAtomically.js';

/** An open safetensors file, of which only the header has been read. */
export interface WeightsFile {
  readonly metadata: Readonly<Record<string, string>>;
  /** Names, types and shapes of the tensors. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /**
   * Reads one tensor's bytes and no others.
   *
   * @throws RlftError if there is no such tensor; CorruptFileError if the file was cut short meanwhile.
   */
  read(name: string): Promise<NdArray>;
  close(): Promise<void>;
}

/**
 * Opens a safetensors file and checks its header against its size.
 *
 * @param path a path, or a `file:` URL such as an environment's `weights`.
 * @throws RlftError if it cannot be opened; CorruptFileError, naming the file, if it is truncated, altered or something else.
 */
export async function openWeights(path: string | URL): Promise<WeightsFile> {
  const where = path instanceof URL ? fileURLToPath(path) : path;
  const file = await open(where, 'r').catch((cause: unknown) => Promise.reject(fileError('read', where, cause)));
  let header: SafetensorsHeader;
  try {
    header = await readHeader(file, where);
  } catch (error) {
    await file.close();
    throw fileError('read', where, error);
  }
  return {
    metadata: header.metadata,
    tensors: header.tensors,
    close: () => file.close(),
    async read(name) {
      const entry = header.tensors.get(name);
      if (entry === undefined) throw new RlftError(`${where}: holds no tensor "${name}".`);
      const bytes = await readRange(file, header.dataStart + entry.begin, entry.end - entry.begin, where);
      return decodeTensor(name, entry, bytes, where);
    },
  };
}

async function readHeader(file: FileHandle, where: string): Promise<SafetensorsHeader> {
  const {size} = await file.stat();
  const prefix = await readRange(file, 0, Math.min(lengthBytes, size), where);
  const length = headerBytes(prefix, size, where);
  return parseHeader(await readRange(file, lengthBytes, length, where), size, where);
}

async function readRange(file: FileHandle, start: number, length: number, where: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const {bytesRead} = await file.read(bytes, done, length - done, start + done);
    if (bytesRead === 0)
      throw new CorruptFileError(`${where}: ended at byte ${start + done}; it was cut short while it was read.`);
    done += bytesRead;
  }
  return bytes;
}

/**
 * All tensors of a file as a tree; float16 and bfloat16 are widened.
 *
 * @throws as `openWeights`.
 */
export async function readWeights(path: string | URL): Promise<{params: Params; metadata: Readonly<Record<string, string>>}> {
  const file = await openWeights(path);
  try {
    const arrays: [string, NdArray][] = [];
    for (const name of file.tensors.keys()) arrays.push([name, await file.read(name)]);
    return {params: treeOf(arrays, path instanceof URL ? fileURLToPath(path) : path), metadata: file.metadata};
  } finally {
    await file.close();
  }
}

/**
 * Writes parameters; leaves go by their paths (`blocks.0.qkv.weight`). Empty branches are not kept.
 *
 * @throws RlftError naming the file if it cannot be written; nothing is left behind then.
 */
export const writeWeights = (path: string, params: Params, options: EncodeOptions = {}): Promise<void> =>
  writeAtomically(path, encodeSafetensors(params, options));
