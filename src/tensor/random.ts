/**
 * Keyed noise: a pure function of what the noise is for, so there is no generator state to save, and any worker and any
 * retry draws the same numbers. Element i of a key's stream does not depend on how many elements are asked for.
 *
 * The generator is Philox4x32-10, a counter-based bijection. A {@link NoiseKey} becomes the generator's 64-bit key and the
 * upper 96 bits of its counter; the lowest counter word numbers the blocks of four words within the stream.
 */
import {ConfigError} from '../errors.js';
import {NORMALS_PER_CALL, normalKernel, type NormalKernel} from './normalKernel.js';

/** What a stream of noise is for. Two keys that differ in any field give unrelated streams; a missing field counts as 0. */
export interface NoiseKey {
  /** The run's seed: an integer in [0, 2^53). */
  readonly seed: number;
  /** A word for the use, such as `initialLatent`; hashed to 32 bits. */
  readonly purpose: string;
  /** Training iteration: an integer in [0, 2^32). */
  readonly iteration?: number;
  /** Prompt: its id (hashed to 32 bits) or its index in [0, 2^32). */
  readonly prompt?: string | number;
  /** Sample of the prompt: an integer in [0, 2^32). */
  readonly sample?: number;
  /** Denoising step: an integer in [0, 2^32). */
  readonly step?: number;
}

/** Four 32-bit words: a Philox counter, word 0 lowest. */
export type Words4 = readonly [number, number, number, number];
/** Two 32-bit words: a Philox key. */
export type Words2 = readonly [number, number];

// Multipliers of the two lanes in 16-bit halves, and the Weyl increments of the key.
const M0 = 0xd2511f53;
const M0_HIGH = 0xd251;
const M0_LOW = 0x1f53;
const M1 = 0xcd9e8d57;
const M1_HIGH = 0xcd9e;
const M1_LOW = 0x8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

/**
 * Fills `out` with the words of consecutive counters, four a counter. The counter is one 128-bit integer and carries.
 *
 * @source Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", §3.3 and table 2.
 */
export function philoxStream(counter: Words4, key: Words2, out: Uint32Array, rounds = 10): Uint32Array {
  let n0 = counter[0] | 0;
  let n1 = counter[1] | 0;
  let n2 = counter[2] | 0;
  let n3 = counter[3] | 0;
  for (let at = 0; at < out.length; at += 4) {
    let c0 = n0;
    let c1 = n1;
    let c2 = n2;
    let c3 = n3;
    let k0 = key[0] | 0;
    let k1 = key[1] | 0;
    for (let round = 0; round < rounds; round++) {
      // High words of the two 64-bit products by 16-bit columns, no partial sum of which exceeds 32 bits: V8 keeps them integers.
      const a0 = c0 & 0xffff;
      const b0 = c0 >>> 16;
      const s0 = (Math.imul(b0, M0_LOW) + (Math.imul(a0, M0_LOW) >>> 16)) | 0;
      const t0 = (Math.imul(a0, M0_HIGH) + (s0 & 0xffff)) | 0;
      const high0 = (Math.imul(b0, M0_HIGH) + (s0 >>> 16) + (t0 >>> 16)) | 0;
      const a2 = c2 & 0xffff;
      const b2 = c2 >>> 16;
      const s2 = (Math.imul(b2, M1_LOW) + (Math.imul(a2, M1_LOW) >>> 16)) | 0;
      const t2 = (Math.imul(a2, M1_HIGH) + (s2 & 0xffff)) | 0;
      const high1 = (Math.imul(b2, M1_HIGH) + (s2 >>> 16) + (t2 >>> 16)) | 0;
      const low0 = Math.imul(c0, M0);
      const low1 = Math.imul(c2, M1);
      c0 = high1 ^ c1 ^ k0;
      c1 = low1;
      c2 = high0 ^ c3 ^ k1;
      c3 = low0;
      k0 = (k0 + W0) | 0;
      k1 = (k1 + W1) | 0;
    }
    out[at] = c0;
    out[at + 1] = c1;
    out[at + 2] = c2;
    out[at + 3] = c3;
    n0 = (n0 + 1) | 0;
    if (n0 === 0) {
      n1 = (n1 + 1) | 0;
      if (n1 === 0) {
        n2 = (n2 + 1) | 0;
        if (n2 === 0) n3 = (n3 + 1) | 0;
      }
    }
  }
  return out;
}

/** One block: four random words for a counter and a key. */
export function philox4x32(counter: Words4, key: Words2, rounds = 10): [number, number, number, number] {
  const out = philoxStream(counter, key, new Uint32Array(4), rounds);
  return [out[0], out[1], out[2], out[3]];
}

/**
 * Hashes a word to 32 bits: FNV-1a over its UTF-8 bytes.
 *
 * @source Fowler, Noll, Vo; offset basis 2166136261, prime 16777619.
 */
export function hash32(word: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(word)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** A stream's key and where its counter starts (lowest word: block 0). */
interface Stream {
  readonly key: Words2;
  readonly high: readonly [number, number, number];
}

/** Two Philox blocks turn the fields into a stream: for one seed and purpose, distinct fields never share a stream. */
function streamOf(key: NoiseKey): Stream {
  const field = (name: string, value: number, limit: number): number => {
    if (Number.isInteger(value) && value >= 0 && value < limit) return value;
    throw new ConfigError(`noise key: ${name} must be an integer in [0, 2^${Math.log2(limit)}); got ${value}.`);
  };
  const word = (name: 'iteration' | 'prompt' | 'sample' | 'step'): number => {
    const value = key[name] ?? 0;
    return typeof value === 'string' ? hash32(value) : field(name, value, 2 ** 32);
  };
  const seed = field('seed', key.seed, 2 ** 53);
  const [k0, k1] = philox4x32([seed >>> 0, Math.floor(seed / 2 ** 32), hash32(key.purpose), 0], [0, 0]);
  const mixed = philox4x32([word('iteration'), word('prompt'), word('sample'), word('step')], [k0, k1]);
  // A bijection of the four fields fills all 128 bits: 96 of them select the counter range, 32 go into the key.
  return {key: [k0 ^ mixed[0], k1], high: [mixed[1], mixed[2], mixed[3]]};
}

const CHUNK = 2048;
const scratch = new Uint32Array(CHUNK);

/** Calls `use(words, start, n)` with the stream's words in chunks: element `start + i` owns word i (n of them). */
function forEachChunk(key: NoiseKey, words: number, use: (words: Uint32Array, start: number, n: number) => void): void {
  const {key: philoxKey, high} = streamOf(key);
  for (let start = 0; start < words; start += CHUNK) {
    const n = Math.min(CHUNK, words - start);
    const chunk = n === CHUNK ? scratch : scratch.subarray(0, Math.ceil(n / 4) * 4);
    philoxStream([start / 4, ...high], philoxKey, chunk);
    use(chunk, start, n);
  }
}

let kernel: NormalKernel | undefined;

/**
 * Fills `out` with standard normals; the largest possible magnitude is 6.77.
 *
 * @source Box & Muller 1958; each pair of elements comes from one pair of words.
 * @returns `out`.
 * @throws ConfigError if a field of the key is not an integer in its range.
 */
export function normals(key: NoiseKey, out: Float32Array): Float32Array {
  const {key: philoxKey, high} = streamOf(key);
  kernel ??= normalKernel(M0, M1, W0, W1);
  for (let start = 0; start < out.length; start += NORMALS_PER_CALL) {
    out.set(kernel(Math.min(NORMALS_PER_CALL, out.length - start), [start / 4, ...high], philoxKey), start);
  }
  return out;
}

/**
 * Fills `out` with uniforms in the open interval (0, 1): odd multiples of 2^-24, all exact in float32.
 *
 * @returns `out`.
 * @throws ConfigError if a field of the key is not an integer in its range.
 */
export function uniforms(key: NoiseKey, out: Float32Array): Float32Array {
  forEachChunk(key, out.length, (words, start, n) => {
    for (let i = 0; i < n; i++) out[start + i] = ((words[i] >>> 9) + 0.5) * 2 ** -23;
  });
  return out;
}

/** Calls `use(i, u)` with the stream's i-th float64 uniform in [0, 1), of 53 random bits. */
function forEachUniform53(key: NoiseKey, count: number, use: (i: number, u: number) => void): void {
  forEachChunk(key, 2 * count, (words, start, n) => {
    for (let i = 0; i < n; i += 2) use((start + i) / 2, ((words[i] >>> 5) * 2 ** 26 + (words[i + 1] >>> 6)) * 2 ** -53);
  });
}

/**
 * `count` integers, uniform in [0, bound) (to within 2^-22 relative, at the largest bound).
 *
 * @param bound in [1, 2^31].
 * @throws ConfigError if the bound or a field of the key is out of range.
 */
export function integers(key: NoiseKey, count: number, bound: number): Int32Array {
  if (!Number.isInteger(bound) || bound < 1 || bound > 2 ** 31) {
    throw new ConfigError(`integers: bound must be an integer in [1, 2^31]; got ${bound}.`);
  }
  const out = new Int32Array(count);
  forEachUniform53(key, count, (i, u) => {
    out[i] = Math.floor(u * bound);
  });
  return out;
}

/**
 * The integers 0 … n − 1 in random order, each order equally likely.
 *
 * @source Fisher & Yates 1938; Knuth, TAOCP 3.4.2 algorithm P.
 * @throws ConfigError if a field of the key is out of range.
 */
export function permutation(key: NoiseKey, n: number): Int32Array {
  const out = Int32Array.from({length: n}, (_, i) => i);
  forEachUniform53(key, Math.max(0, n - 1), (i, u) => {
    const last = n - 1 - i;
    const other = Math.floor(u * (last + 1));
    const value = out[last];
    out[last] = out[other]!;
    out[other] = value;
  });
  return out;
}

/** A list in random order. */
export const shuffled = <T>(list: readonly T[], key: NoiseKey): T[] => Array.from(permutation(key, list.length), (i) => list[i]);
