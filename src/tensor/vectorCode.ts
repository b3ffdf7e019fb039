/**
 * Just enough of WebAssembly's binary form to write a numeric loop over 128-bit vectors by hand: expressions are byte sequences
 * that nest, so that code reads like the formula it computes.
 *
 * @source WebAssembly core specification 2.0, chapter 5 (binary format) and the vector instructions of 5.4.9.
 */

/** The bytes of an expression: code that leaves one value on the stack, or of a statement, which leaves none. */
export type Code = readonly number[];

/** Unsigned LEB128. */
function leb(n: number): number[] {
  const bytes: number[] = [];
  for (; n >= 0x80; n >>>= 7) bytes.push((n & 0x7f) | 0x80);
  return [...bytes, n];
}

/** Signed LEB128 of a 32-bit integer. */
function signedLeb(n: number): number[] {
  const bytes: number[] = [];
  for (; n < -64 || n > 63; n >>= 7) bytes.push((n & 0x7f) | 0x80);
  return [...bytes, n & 0x7f];
}

const vector = (opcode: number): number[] => [0xfd, ...leb(opcode)];
const unary =
  (opcode: number) =>
  (a: Code): Code => [...a, ...vector(opcode)];
const binary =
  (opcode: number) =>
  (a: Code, b: Code): Code => [...a, ...b, ...vector(opcode)];
/** A shift of all lanes by a constant. */
const shift =
  (opcode: number) =>
  (a: Code, bits: number): Code => [...a, ...i32(bits), ...vector(opcode)];

/** A 32-bit integer constant. */
export const i32 = (n: number): Code => [0x41, ...signedLeb(n | 0)];
/** The value of a local variable. */
export const get = (local: number): Code => [0x20, ...leb(local)];
/** Gives a local variable a value. */
export const set = (local: number, value: Code): Code => [...value, 0x21, ...leb(local)];
/** Sum of two 32-bit integers. */
export const addI32 = (a: Code, b: Code): Code => [...a, ...b, 0x6a];
/** A do-while loop: `body`, and again while `condition` is not 0. */
export const loop = (body: Code, condition: Code): Code => [0x03, 0x40, ...body, ...condition, 0x0d, 0x00, 0x0b];
/** 1 if one unsigned 32-bit integer is less than another. */
export const lessThan = (a: Code, b: Code): Code => [...a, ...b, 0x49];
/** Bitwise and of two 32-bit integers. */
export const andI32 = (a: Code, b: Code): Code => [...a, ...b, 0x71];

const constant = (bytes: ArrayBuffer): Code => [...vector(0x0c), ...new Uint8Array(bytes)];
/** A vector of two equal doubles. */
export const f64 = (x: number): Code => constant(Float64Array.of(x, x).buffer);
/** A vector of four equal floats. */
export const f32 = (x: number): Code => constant(Float32Array.of(x, x, x, x).buffer);
/** A vector of four integers. */
export const i32s = (...lanes: readonly [number, number, number, number]): Code => constant(Int32Array.from(lanes).buffer);
/** A vector of two equal 64-bit integers, from its halves. */
export const i64 = (high: number, low: number): Code => i32s(low, high, low, high);
/** The 32-bit integer on the stack in all four lanes. */
export const splat = unary(0x11);

/** Bitwise operations on all 128 bits. */
export const [and, or, xor] = [binary(0x4e), binary(0x50), binary(0x51)];
/** Bits of `a` where `mask` is set, of `b` elsewhere. */
export const select = (a: Code, b: Code, mask: Code): Code => [...a, ...b, ...mask, ...vector(0x52)];
/** Arithmetic of four 32-bit lanes, modulo 2³². */
export const [addI32s, subI32s, mulI32s] = [binary(0xae), binary(0xb1), binary(0xb5)];
/** 64-bit products of the two lower or the two upper unsigned lanes. */
export const [productsLow, productsHigh] = [binary(0xde), binary(0xdf)];
/** The two lower or the two upper unsigned lanes as 64-bit integers. */
export const [wideLow, wideHigh] = [unary(0xc9), unary(0xca)];
/** Shifts of both 64-bit lanes; the last one keeps the sign. */
export const [shiftLeft64, shiftRight64, shiftRightSigned64] = [shift(0xcb), shift(0xcd), shift(0xcc)];
/** Arithmetic of both doubles. */
export const [sqrt, add, sub, mul, div] = [unary(0xef), binary(0xf0), binary(0xf1), binary(0xf2), binary(0xf3)];
/** All bits of a lane set where the double of `a` is greater than that of `b`. */
export const greater = binary(0x4a);
/** Doubles of the two lower lanes. */
export const [fromSigned, fromUnsigned] = [unary(0xfe), unary(0xff)];
/** Two doubles rounded to floats in the two lower lanes; the others are 0. */
export const toFloats = unary(0x5e);
/** Shifts of four 32-bit lanes; the second one keeps the sign. */
export const [shiftLeft, shiftRightSigned] = [shift(0xab), shift(0xac)];
/** Arithmetic of four floats. */
export const [absF32, addF32, subF32, mulF32, divF32] = [unary(0xe0), binary(0xe4), binary(0xe5), binary(0xe6), binary(0xe7)];
/** The smaller and the larger of four floats; where one is NaN, `a`. */
export const [minF32, maxF32] = [binary(0xea), binary(0xeb)];
/** The larger of four floats; NaN where either is. */
export const maxOrNaN = binary(0xe9);
/** All bits of a lane set where the float of `a` is greater than that of `b`. */
export const greaterF32 = binary(0x44);
/** All bits of a lane set where the float of `a` is at least that of `b`. */
export const atLeastF32 = binary(0x46);
/** Four floats of signed integers. */
export const fromSignedF32 = unary(0xfa);
/** 1 if any bit of a vector is set: a 32-bit integer. */
export const anyBit = unary(0x53);
/** Picks four 32-bit lanes: 0-3 of `a`, 4-7 of `b`. */
export const lanes = (a: Code, b: Code, picks: readonly [number, number, number, number]): Code => [
  ...a,
  ...b,
  ...vector(0x0d),
  ...picks.flatMap((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]),
];
/** The float at `address` + `offset` in all four lanes. */
export const loadSplat = (address: Code, offset: number): Code => [...address, ...vector(0x09), 0x00, ...leb(offset)];
/** The vector at `address` + `offset`. */
export const load = (address: Code, offset: number): Code => [...address, ...vector(0x00), 0x00, ...leb(offset)];
/** Stores a vector at `address` + `offset`. */
export const store = (address: Code, offset: number, value: Code): Code => [
  ...address,
  ...value,
  ...vector(0x0b),
  0x00,
  ...leb(offset),
];

/** The value of c₀ + c₁z + c₂z² + … */
export const polynomial = (z: Code, coefficients: readonly number[]): Code =>
  coefficients.slice(0, -1).reduceRight<Code>((sum, c) => add(f64(c), mul(z, sum)), f64(coefficients.at(-1)!));

const section = (id: number, bytes: readonly number[]): number[] => [id, ...leb(bytes.length), ...bytes];
const list = (items: readonly (readonly number[])[]): number[] => [...leb(items.length), ...items.flat()];
const text = (s: string): number[] => list([...new TextEncoder().encode(s)].map((byte) => [byte]));

/**
 * A module with one memory (export `memory`) and one function (export `run`) that takes 32-bit integers.
 *
 * @param parameters number of them; they are the first locals. @param vectors number of vector locals that follow.
 */
export function moduleOf(parameters: number, vectors: number, pages: number, body: Code): Uint8Array<ArrayBuffer> {
  const [I32, V128] = [0x7f, 0x7b];
  const code = [...list([[...leb(vectors), V128]]), ...body, 0x0b];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, list([[0x60, ...list(Array.from({length: parameters}, () => [I32])), 0x00]])),
    ...section(3, list([[0x00]])),
    ...section(5, list([[0x00, ...leb(pages)]])),
    ...section(
      7,
      list([
        [...text('memory'), 0x02, 0x00],
        [...text('run'), 0x00, 0x00],
      ]),
    ),
    ...section(10, list([[...leb(code.length), ...code]])),
  ]);
}
