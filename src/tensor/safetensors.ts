/**
 * The safetensors format, on bytes: an 8-byte little-endian length, that many bytes of JSON, then the tensors without gaps.
 * Files are opened in `run/weights.ts`; here is only what a reader must distrust, and how a writer lays things out.
 *
 * @source https://github.com/huggingface/safetensors, section "Format".
 */
import {CorruptFileError, ShapeError} from '../errors.js';
import {bfloat16ToFloat32, float16Max, float16ToFloat32, float32ToFloat16} from './float16.js';
import {ndarray, sizeOf, type NdArray} from './ndarray.js';
import {leaves, unflatten, type Params} from './tree.js';

/** Bytes of one element, by the format's name of the type. */
const bytesOf = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  I64: 8,
  U64: 8,
  F64: 8,
} as const;

/** Name of an element type in a file. All are recognised; `decodeTensor` says which are read. */
export type StoredType = keyof typeof bytesOf;

/** Where a tensor lies: `[begin, end)` in bytes, counted from the end of the header. */
export interface TensorEntry {
  readonly type: StoredType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** What a file says about itself before any tensor is read. */
export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Byte at which the tensors begin. */
  readonly dataStart: number;
}

/** Bytes of the length that a file begins with. */
export const lengthBytes = 8;

/** Longest header that is read, in bytes: room for some 100,000 tensors. */
export const maxHeaderBytes = 16 * 2 ** 20;

/** A name from a file: one line of bounded length, whatever it holds. */
const quoted = (name: string): string => JSON.stringify(name.slice(0, 80));

const corrupt = (where: string, what: string): CorruptFileError =>
  new CorruptFileError(`${where}: not a good safetensors file: ${what}.`);

/**
 * Bytes of JSON that follow the first 8, checked against the file before anything of that size is allocated.
 *
 * @param prefix the first 8 bytes, or fewer if the file is shorter.
 * @param fileBytes size of the whole file.
 * @param where name of the file, for messages.
 * @throws CorruptFileError if it is too short, or names a header longer than itself or than 16 MiB.
 */
export function headerBytes(prefix: Uint8Array, fileBytes: number, where: string): number {
  if (prefix.length < lengthBytes || fileBytes < lengthBytes) throw corrupt(where, `it has ${fileBytes} bytes, fewer than 8`);
  const view = new DataView(prefix.buffer, prefix.byteOffset, lengthBytes);
  const length = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (length > maxHeaderBytes) throw corrupt(where, `its header claims ${length} bytes; at most ${maxHeaderBytes} are read`);
  if (lengthBytes + length > fileBytes) {
    throw corrupt(where, `its header claims ${length} bytes; the file has ${fileBytes}, so it is truncated`);
  }
  return length;
}

/**
 * Reads the header and checks that the tensors cover the rest of the file exactly once.
 *
 * @param json the header's bytes.
 * @throws CorruptFileError for bad JSON, types, shapes, sizes, overlaps, holes, and files that are too short or too long.
 */
export function parseHeader(json: Uint8Array, fileBytes: number, where: string): SafetensorsHeader {
  const dataStart = lengthBytes + json.length;
  const tensors = new Map<string, TensorEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(parseRecord(json, where))) {
    if (name === '__metadata__') metadata = parseMetadata(value, where);
    else tensors.set(name, parseEntry(name, value, where));
  }
  const ordered = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const [name, {begin, end}] of ordered) {
    if (begin !== at)
      throw corrupt(where, `tensor ${quoted(name)} begins at byte ${begin}, where ${at} was due (a hole or an overlap)`);
    at = end;
  }
  if (dataStart + at !== fileBytes) {
    const fault = dataStart + at > fileBytes ? 'so it is truncated' : 'so it was altered';
    throw corrupt(where, `its tensors end at byte ${dataStart + at}; the file has ${fileBytes}, ${fault}`);
  }
  return {tensors, metadata, dataStart};
}

function parseRecord(json: Uint8Array, where: string): object {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', {fatal: true}).decode(json));
  } catch (cause) {
    throw new CorruptFileError(`${where}: not a good safetensors file: its header is not JSON.`, {cause});
  }
  if (!isRecord(value)) throw corrupt(where, 'its header is not a JSON object');
  return value;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parseMetadata(value: unknown, where: string): Record<string, string> {
  if (!isRecord(value) || Object.values(value).some((v) => typeof v !== 'string')) {
    throw corrupt(where, '__metadata__ is not an object of strings');
  }
  return value as Record<string, string>;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function parseEntry(name: string, value: unknown, where: string): TensorEntry {
  const fault = (what: string): CorruptFileError => corrupt(where, `tensor ${quoted(name)} ${what}`);
  // A tree is built from the names: this one would reach behind it.
  if (name === '' || name.split('.').includes('__proto__')) throw fault('has a name that is not allowed');
  if (!isRecord(value)) throw fault('is not described by an object');
  const {dtype, shape, data_offsets: offsets} = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(bytesOf, dtype))
    throw fault(`has the unknown type ${JSON.stringify(dtype)?.slice(0, 40)}`);
  if (!Array.isArray(shape) || !shape.every(isCount)) throw fault('has a shape that is not a list of counts');
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
    throw fault('has data_offsets that are not two counts');
  const type = dtype as StoredType;
  const [begin, end] = offsets as [number, number];
  const bytes = sizeOf(shape) * bytesOf[type];
  if (end - begin !== bytes)
    throw fault(`is ${type} [${shape.join(', ')}], ${bytes} bytes; its data_offsets span ${end - begin}`);
  return {type, shape: shape, begin, end};
}

/**
 * A tensor from its bytes; F16 and BF16 are widened to float32.
 *
 * @param bytes exactly those of `[entry.begin, entry.end)`.
 * @throws CorruptFileError if the type is not F32, F16, BF16, I32, U8 or BOOL, or if a BOOL is neither 0 nor 1.
 */
export function decodeTensor(name: string, entry: TensorEntry, bytes: Uint8Array, where: string): NdArray {
  const {type, shape} = entry;
  // A copy: the bytes may lie at any offset of a larger buffer, and typed arrays want their own alignment. Not `slice`: that of
  // a Buffer copies nothing.
  const own = new Uint8Array(bytes).buffer;
  switch (type) {
    case 'F32':
      return ndarray('float32', shape, new Float32Array(own));
    case 'F16':
      return ndarray('float32', shape, float16ToFloat32(new Uint16Array(own)));
    case 'BF16':
      return ndarray('float32', shape, bfloat16ToFloat32(new Uint16Array(own)));
    case 'I32':
      return ndarray('int32', shape, new Int32Array(own));
    case 'U8':
      return ndarray('uint8', shape, new Uint8Array(own));
    case 'BOOL': {
      const data = new Uint8Array(own);
      if (data.some((v) => v > 1))
        throw corrupt(where, `tensor ${quoted(name)} is BOOL and holds a byte that is neither 0 nor 1`);
      return ndarray('bool', shape, data);
    }
    default:
      throw corrupt(where, `tensor ${quoted(name)} is ${type}; F32, F16, BF16, I32, U8 and BOOL are read`);
  }
}

/** How tensors are written. */
export interface EncodeOptions {
  /** Free text about the file; its keys are written in their order, before the tensors. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Type of float32 arrays in the file. Default F32; F16 halves the size and keeps 11 bits. */
  readonly floats?: 'F32' | 'F16';
}

/**
 * The bytes of a file, as pieces to be written one after the other: the header (a multiple of 8 bytes long), then each tensor.
 *
 * @throws ShapeError if an array's name is empty, reserved or another's too, or a finite value is beyond float16 where F16 was asked for.
 */
export function encodeSafetensors(params: Params, {metadata, floats = 'F32'}: EncodeOptions = {}): Uint8Array[] {
  const header = new Map<string, unknown>(metadata === undefined ? [] : [['__metadata__', metadata]]);
  const pieces: Uint8Array[] = [];
  // Wider elements first, so that every tensor lies at a multiple of its element's size.
  const encoded = leaves(params).map(([name, array]) => ({name, array, ...encodeTensor(name, array, floats)}));
  encoded.sort((a, b) => bytesOf[b.type] - bytesOf[a.type]);
  let at = 0;
  for (const {name, array, type, bytes} of encoded) {
    if (name === '' || name === '__metadata__') throw new ShapeError(`safetensors: "${name}" cannot be the name of a tensor.`);
    if (header.has(name)) throw new ShapeError(`safetensors: two tensors are named "${name}"; no key may hold a dot.`);
    header.set(name, {dtype: type, shape: array.shape, data_offsets: [at, at + bytes.length]});
    pieces.push(bytes);
    at += bytes.length;
  }
  // Not JSON.stringify of a record: records move keys such as "0" to the front.
  const json = `{${[...header].map(([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`).join(',')}}`;
  const text = new TextEncoder().encode(json);
  const padded = Math.ceil(text.length / 8) * 8;
  const head = new Uint8Array(lengthBytes + padded).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(padded), true);
  head.set(text, lengthBytes);
  return [head, ...pieces];
}

function encodeTensor(name: string, array: NdArray, floats: 'F32' | 'F16'): {type: StoredType; bytes: Uint8Array} {
  const view = (data: {buffer: ArrayBufferLike; byteOffset: number; byteLength: number}): Uint8Array =>
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  switch (array.dtype) {
    case 'float32': {
      if (floats === 'F32') return {type: 'F32', bytes: view(array.data)};
      const values = array.data as Float32Array;
      const tooLarge = values.find((v) => Number.isFinite(v) && Math.abs(v) > float16Max);
      if (tooLarge !== undefined) {
        throw new ShapeError(`safetensors: "${name}" holds ${tooLarge}, beyond float16's ±${float16Max}; write it as F32.`);
      }
      return {type: 'F16', bytes: view(float32ToFloat16(values))};
    }
    case 'int32':
      return {type: 'I32', bytes: view(array.data)};
    case 'uint8':
      return {type: 'U8', bytes: view(array.data)};
    case 'bool':
      return {type: 'BOOL', bytes: view(array.data)};
  }
}

/**
 * All tensors of a file that is already in memory.
 *
 * @throws CorruptFileError if the bytes are not a good file.
 */
export function decodeSafetensors(
  bytes: Uint8Array,
  where: string,
): {params: Params; metadata: Readonly<Record<string, string>>} {
  const length = headerBytes(bytes.subarray(0, lengthBytes), bytes.length, where);
  const header = parseHeader(bytes.subarray(lengthBytes, lengthBytes + length), bytes.length, where);
  const arrays = [...header.tensors].map(([name, entry]): [string, NdArray] => {
    const own = bytes.subarray(header.dataStart + entry.begin, header.dataStart + entry.end);
    return [name, decodeTensor(name, entry, own, where)];
  });
  return {params: treeOf(arrays, where), metadata: header.metadata};
}

/**
 * Builds the tree that the tensors' names spell.
 *
 * @throws CorruptFileError if one name is another's prefix, so that no tree holds both.
 */
export function treeOf(arrays: Iterable<readonly [string, NdArray]>, where: string): Params {
  try {
    return unflatten(arrays);
  } catch (cause) {
    throw new CorruptFileError(`${where}: the names of its tensors do not make a tree: ${(cause as Error).message}`, {cause});
  }
}
