/**
 * The inner loop of keyed normals as WebAssembly: Philox4x32-10 for four counters at a time and Box-Muller in doubles, two at a
 * time. Ten thousand normals a clip and a step would otherwise be a tenth of a rollout's processor time.
 */
import {
  add,
  addI32,
  addI32s,
  and,
  div,
  f64,
  fromSigned,
  fromUnsigned,
  get,
  greater,
  i32,
  i32s,
  i64,
  lanes,
  lessThan,
  loop,
  moduleOf,
  mul,
  mulI32s,
  or,
  polynomial,
  productsHigh,
  productsLow,
  select,
  set,
  shiftLeft64,
  shiftRight64,
  shiftRightSigned64,
  splat,
  sqrt,
  store,
  sub,
  subI32s,
  toFloats,
  wideLow,
  xor,
  type Code,
} from './vectorCode.js';

/** Normals that one call makes at most: what fits into one page of memory. */
export const NORMALS_PER_CALL = 8192;
const BYTES_PER_ROUND = 64;

// Locals: the parameters, then vectors.
const [AT, END, N0, N1, N2, N3, KEY0, KEY1] = [0, 1, 2, 3, 4, 5, 6, 7];
const C = [8, 9, 10, 11] as const;
const [K0, K1, LOW, HIGH, V, Z, S, RADIUS, ANGLE, SIN, COS] = [12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22];
/** Results: x and y of the first pair of words, then of the second, for four counters each. */
const RESULTS = [23, 24, 25, 26] as const;
const VECTORS = 26 - 8 + 1;

const every = (n: number): Code => i32s(n, n, n, n);
const statements = (...parts: Code[]): Code => parts.flat();

/** One round: (c0, c1, c2, c3) ← (high(M1·c2) ^ c1 ^ k0, low(M1·c2), high(M0·c0) ^ c3 ^ k1, low(M0·c0)). */
function round(m0: number, m1: number, w0: number, w1: number): Code {
  const odd = [1, 3, 5, 7] as const;
  return statements(
    set(LOW, productsLow(get(C[0]), every(m0))),
    set(HIGH, productsHigh(get(C[0]), every(m0))),
    set(V, mulI32s(get(C[0]), every(m0))),
    set(Z, xor(xor(lanes(get(LOW), get(HIGH), odd), get(C[3])), get(K1))),
    set(LOW, productsLow(get(C[2]), every(m1))),
    set(HIGH, productsHigh(get(C[2]), every(m1))),
    set(S, mulI32s(get(C[2]), every(m1))),
    set(C[0], xor(xor(lanes(get(LOW), get(HIGH), odd), get(C[1])), get(K0))),
    set(C[1], get(S)),
    set(C[2], get(Z)),
    set(C[3], get(V)),
    set(K0, addI32s(get(K0), every(w0))),
    set(K1, addI32s(get(K1), every(w1))),
  );
}

/** 1/n!, with alternating sign. */
const series = (orders: readonly number[]): number[] => {
  const factorial = (n: number): number => (n <= 1 ? 1 : n * factorial(n - 1));
  return orders.map((n, i) => (i % 2 === 0 ? 1 : -1) / factorial(n));
};

/**
 * Two normals from each of two pairs of words, left in the locals `SIN` (first normals) and `COS` (second ones) as doubles.
 *
 * ln u comes from u = 2^e·m with m in (√½, √2] and ln m = 2·artanh((m − 1)/(m + 1)), so that nothing cancels near 1. Two bits
 * of the second word choose the quadrant, thirty the angle within it, in [-π/4, π/4), where the series are exact.
 */
function boxMuller(first: Code, second: Code): Code {
  const exponent = sub(or64(shiftRight64(get(V), 52)), f64(2 ** 52 + 1023 + 32));
  const swap = shiftRightSigned64(shiftLeft64(get(Z), 33), 63);
  const sign = i64(0x80000000 | 0, 0);
  return statements(
    // u·2³², its exponent and its mantissa.
    set(V, add(fromUnsigned(first), f64(0.5))),
    set(RADIUS, exponent),
    set(V, or(and(get(V), i64(0x000fffff, -1)), f64(1))),
    set(S, greater(get(V), f64(Math.SQRT2))),
    set(V, sub(get(V), and(get(S), mul(get(V), f64(0.5))))),
    set(RADIUS, add(get(RADIUS), and(get(S), f64(1)))),
    set(V, div(sub(get(V), f64(1)), add(get(V), f64(1)))),
    set(S, mul(get(V), get(V))),
    set(V, mul(mul(get(V), f64(2)), polynomial(get(S), [1, 1 / 3, 1 / 5, 1 / 7, 1 / 9, 1 / 11, 1 / 13, 1 / 15, 1 / 17]))),
    set(RADIUS, sqrt(mul(f64(-2), add(mul(get(RADIUS), f64(Math.LN2)), get(V))))),
    // Sine and cosine of the angle within the quadrant.
    set(ANGLE, mul(fromSigned(subI32s(and(second, every(0x3fffffff)), every(0x20000000))), f64(Math.PI / 2 ** 31))),
    set(S, mul(get(ANGLE), get(ANGLE))),
    set(SIN, mul(get(RADIUS), mul(get(ANGLE), polynomial(get(S), series([1, 3, 5, 7, 9, 11, 13]))))),
    set(COS, mul(get(RADIUS), polynomial(get(S), series([0, 2, 4, 6, 8, 10, 12, 14])))),
    // Quadrants 1 and 3 swap the two; the first is negative in 1 and 2, the second in 2 and 3.
    set(Z, wideLow(second)),
    set(S, swap),
    set(V, select(get(SIN), get(COS), get(S))),
    set(S, select(get(COS), get(SIN), get(S))),
    set(SIN, xor(get(V), and(shiftLeft64(xor(get(Z), shiftRight64(get(Z), 1)), 33), sign))),
    set(COS, xor(get(S), and(shiftLeft64(get(Z), 32), sign))),
  );
}

/** An integer below 2⁵² as the double 2⁵² + n. */
const or64 = (n: Code): Code => or(n, i64(0x43300000, 0));

/** Normals of the words in `C[first]` and `C[first + 1]`, into two result locals of four floats. */
function fourPairs(first: 0 | 2): Code {
  const upper = (a: Code): Code => lanes(a, a, [2, 3, 2, 3]);
  const [a, b] = [get(C[first]), get(C[first + 1])];
  const [x, y] = [RESULTS[first], RESULTS[first + 1]];
  return statements(
    boxMuller(a, b),
    set(x, toFloats(get(SIN))),
    set(y, toFloats(get(COS))),
    boxMuller(upper(a), upper(b)),
    set(x, lanes(get(x), toFloats(get(SIN)), [0, 1, 4, 5])),
    set(y, lanes(get(y), toFloats(get(COS)), [0, 1, 4, 5])),
  );
}

function build(m0: number, m1: number, w0: number, w1: number): Uint8Array<ArrayBuffer> {
  const [x, y, z, w] = RESULTS;
  const body = statements(
    set(C[0], addI32s(splat(get(N0)), i32s(0, 1, 2, 3))),
    set(C[1], splat(get(N1))),
    set(C[2], splat(get(N2))),
    set(C[3], splat(get(N3))),
    set(K0, splat(get(KEY0))),
    set(K1, splat(get(KEY1))),
    ...Array.from({length: 10}, () => round(m0, m1, w0, w1)),
    fourPairs(0),
    fourPairs(2),
    // Four counters by four results, turned so that the results of one counter lie side by side.
    set(V, lanes(get(x), get(y), [0, 4, 1, 5])),
    set(Z, lanes(get(z), get(w), [0, 4, 1, 5])),
    store(get(AT), 0, lanes(get(V), get(Z), [0, 1, 4, 5])),
    store(get(AT), 16, lanes(get(V), get(Z), [2, 3, 6, 7])),
    set(V, lanes(get(x), get(y), [2, 6, 3, 7])),
    set(Z, lanes(get(z), get(w), [2, 6, 3, 7])),
    store(get(AT), 32, lanes(get(V), get(Z), [0, 1, 4, 5])),
    store(get(AT), 48, lanes(get(V), get(Z), [2, 3, 6, 7])),
    set(N0, addI32(get(N0), i32(4))),
    set(AT, addI32(get(AT), i32(BYTES_PER_ROUND))),
  );
  return moduleOf(8, VECTORS, 1, loop(body, lessThan(get(AT), get(END))));
}

/** Fills the kernel's memory with normals from a counter on, and returns a view of `count` of them, valid until the next call. */
export type NormalKernel = (
  count: number,
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
) => Float32Array;

/** Compiles the kernel for a Philox with these multipliers and key increments. */
export function normalKernel(m0: number, m1: number, w0: number, w1: number): NormalKernel {
  const {memory, run} = new WebAssembly.Instance(new WebAssembly.Module(build(m0, m1, w0, w1))).exports as {
    memory: WebAssembly.Memory;
    run: (...parameters: number[]) => void;
  };
  const view = new Float32Array(memory.buffer);
  return (count, counter, key) => {
    run(0, 4 * count, ...counter, ...key);
    return view.subarray(0, count);
  };
}
