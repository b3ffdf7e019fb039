/**
 * TensorBoard event files, written here because no kept package does.
 *
 * A file is a row of TFRecords (length, its checksum, bytes, their checksum); each holds one `Event` protobuf. The first says
 * `brain.Event:2`. Field numbers are those of tensorflow/core/util/event.proto and framework/summary.proto.
 */
import {open, readdir, readFile, truncate} from 'node:fs/promises';
import {join} from 'node:path';
import {maskedCrc32c} from './crc32c.js';
import type {Metrics} from './metrics.js';
import {fileError} from './writeAtomically.js';

/** A picture as TensorBoard shows it: PNG, or GIF, which it plays. */
export interface EncodedImage {
  readonly width: number;
  readonly height: number;
  /** Whole file. */
  readonly bytes: Uint8Array;
}

/** The open end of an event file. */
export interface EventFile {
  /** Adds one point to the curve of every metric; what is not finite is left out. */
  scalars(step: number, metrics: Metrics): Promise<void>;
  /** Adds a picture under a name such as `samples/a red boat`. */
  image(step: number, name: string, image: EncodedImage): Promise<void>;
  close(): Promise<void>;
}

/** Opens a run's event file for appending. `now` gives the wall clock in seconds. */
export interface EventFileOptions {
  /** Iterations of the checkpoint that the run goes on from; 0 for a new run. Later events are cut off. */
  readonly completed: number;
  /** Wall clock in seconds since 1970. */
  readonly now: () => number;
}

/**
 * Opens the event file of a run folder, making it if there is none.
 *
 * @throws RlftError if it cannot be written.
 */
export async function openEvents(folder: string, {completed, now}: EventFileOptions): Promise<EventFile> {
  const name = (await readdir(folder)).find((entry) => entry.startsWith('events.out.tfevents.'));
  const path = join(folder, name ?? `events.out.tfevents.${Math.floor(now())}.rlft`);
  if (name !== undefined) await cutBack(path, completed);
  const file = await open(path, 'a').catch((cause: unknown) => Promise.reject(fileError('write', path, cause)));
  const write = (event: Uint8Array): Promise<void> =>
    file.appendFile(record(event)).catch((cause: unknown) => Promise.reject(fileError('write', path, cause)));
  const summary = (step: number, values: Uint8Array[]): Promise<void> =>
    write(join8(double(1, now()), varint(2, step), bytes(5, join8(...values.map((value) => bytes(1, value))))));
  if ((await file.stat()).size === 0) await write(join8(double(1, now()), text(3, 'brain.Event:2')));
  return {
    async scalars(step, metrics) {
      const finite = Object.entries(metrics).filter(([, value]) => Number.isFinite(value));
      if (finite.length > 0)
        await summary(
          step,
          finite.map(([tag, value]) => join8(text(1, tag), float(2, value))),
        );
    },
    image: (step, tag, {width, height, bytes: encoded}) =>
      summary(step, [join8(text(1, tag), bytes(4, join8(varint(1, height), varint(2, width), varint(3, 3), bytes(4, encoded))))]),
    close: () => file.close(),
  };
}

/**
 * Cuts off what was written after the checkpoint of `completed` iterations, and a torn last record. An iteration's pictures come
 * after its checkpoint, so a resumed run draws them again.
 */
async function cutBack(path: string, completed: number): Promise<void> {
  const file = await readFile(path).catch((cause: unknown) => Promise.reject(fileError('read', path, cause)));
  let end = 0;
  while (end + 12 <= file.length) {
    const length = Number(file.readBigUInt64LE(end));
    const next = end + 16 + length;
    if (next > file.length) break;
    const event = file.subarray(end + 12, end + 12 + length);
    const step = stepOf(event);
    if (step > completed || (step === completed && isPicture(event))) break;
    end = next;
  }
  if (end < file.length) await truncate(path, end).catch((cause: unknown) => Promise.reject(fileError('write', path, cause)));
}

/** Step of an event that this file wrote: a double, then, unless it is the first event, the step as a varint. */
const stepOf = (event: Uint8Array): number => (event[9] === 0x10 ? readVarint(event, 10).value : 0);

/** Whether an event that this file wrote is a picture: its one value has a name and then field 4, where a number has field 2. */
function isPicture(event: Uint8Array): boolean {
  if (event[9] !== 0x10) return false;
  const summary = readVarint(event, readVarint(event, 10).next + 1);
  const value = readVarint(event, summary.next + 1);
  const name = readVarint(event, value.next + 1);
  return event[name.next + name.value] === 0x22;
}

function readVarint(bytes: Uint8Array, at: number): {value: number; next: number} {
  let value = 0;
  for (let i = at, scale = 1; i < bytes.length; i++, scale *= 128) {
    value += (bytes[i] & 0x7f) * scale;
    if (bytes[i] < 0x80) return {value, next: i + 1};
  }
  return {value, next: bytes.length};
}

function record(data: Uint8Array): Uint8Array {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(data.length), true);
  return join8(length, fixed32(maskedCrc32c(length)), data, fixed32(maskedCrc32c(data)));
}

// Protobuf's wire format: a tag of field number and kind, then a varint (0), eight bytes (1), a length and bytes (2), four bytes (5).

const join8 = (...parts: Uint8Array[]): Uint8Array => Buffer.concat(parts);

function fixed32(value: number): Uint8Array {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value);
  return out;
}

function plainVarint(value: number): Uint8Array {
  const out: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.from([...out, rest]);
    out.push((rest % 128) | 0x80);
  }
}

const tag = (field: number, kind: number): Uint8Array => Uint8Array.of((field << 3) | kind);

const varint = (field: number, value: number): Uint8Array => join8(tag(field, 0), plainVarint(value));

const bytes = (field: number, value: Uint8Array): Uint8Array => join8(tag(field, 2), plainVarint(value.length), value);

const text = (field: number, value: string): Uint8Array => bytes(field, Buffer.from(value));

function double(field: number, value: number): Uint8Array {
  const out = Buffer.alloc(8);
  out.writeDoubleLE(value);
  return join8(tag(field, 1), out);
}

function float(field: number, value: number): Uint8Array {
  const out = Buffer.alloc(4);
  out.writeFloatLE(value);
  return join8(tag(field, 5), out);
}
