/**
 * Sinkhorn's rounds in single precision as WebAssembly, four lanes wide, one problem at a time: its kernel matrix (16 KB at 16 × 257)
 * stays in the processor's first cache from the first round to the last.
 *
 * Logarithms are to base 2 in here. One pass over a group of four rows of K gives four sums K·v; from them come four u; and while
 * the rows are still at hand, u times them is added to the column sums Kᵀ·u. So K is read once a round.
 */
import {
  absF32,
  addF32,
  addI32,
  addI32s,
  and,
  andI32,
  anyBit,
  atLeastF32,
  divF32,
  f32,
  fromSignedF32,
  get,
  greaterF32,
  i32,
  i32s,
  lanes,
  lessThan,
  load,
  loop,
  maxF32,
  maxOrNaN,
  minF32,
  moduleOf,
  mulF32,
  polynomialF32,
  set,
  shiftLeft,
  shiftRightSigned,
  splat,
  store,
  subF32,
  subI32s,
  type Code,
} from '../tensor/vectorCode.js';

const statements = (...parts: Code[]): Code => parts.flat();
const every = (n: number): Code => i32s(n, n, n, n);

/** Bytes of a vector and of a page of memory. */
const VECTOR = 16;
const PAGE = 65536;
/** Rows of a group, and floats of a step along a row: two vectors, so that sums do not wait for one another. */
const GROUP = 4;
const STEP = 8;

/** The log weight of padding: so small that no sum changes it, and 2 to its power is 0 for all purposes. */
export const NO_WEIGHT = -1e30;

// Locals: the parameters, then vectors.
const [ROUNDS, ROUND, I, J, AT] = [0, 1, 2, 3, 4];
const INTEGERS = 5;
const SUMS = [5, 6, 7, 8, 9, 10, 11, 12] as const;
const U = [13, 14, 15, 16] as const;
const [EXPONENT, CEILING, LEVEL, CHANGE, T, BITS, POWER, X, Y, LOW, HIGH, CARRIED] = [
  17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
];
const VECTORS = 28 - INTEGERS + 1;

/** Where the module's numbers lie: byte offsets, each of a vector of four equal floats unless said otherwise. */
export interface KernelLayout {
  /** −log₂e/ε. */
  readonly scale: number;
  /** τ. */
  readonly exponent: number;
  readonly ceiling: number;
  /** The tolerance, in bits. */
  readonly tolerance: number;
  /** log₂ m, and 1 if the total is prescribed (else 0). */
  readonly logMass: number;
  readonly prescribed: number;
  /** Results: rounds as integers; largest change of the last; smallest and largest log₂ K; level in bits. */
  readonly rounds: number;
  readonly change: number;
  readonly low: number;
  readonly high: number;
  readonly level: number;
  /** Results of four lanes to be added: ΣP and the marginal error. */
  readonly mass: number;
  readonly error: number;
  /** log₂ a and log₂ b; log₂ u and log₂ v; u; v; Kᵀ·u. */
  readonly logA: number;
  readonly logB: number;
  readonly logU: number;
  readonly logV: number;
  readonly u: number;
  readonly v: number;
  readonly sums: number;
  /** Costs, then K, then the plan: `paddedRows` rows, `stride` floats apart. */
  readonly kernel: number;
  readonly paddedRows: number;
  readonly stride: number;
  readonly bytes: number;
}

const upTo = (n: number, unit: number): number => Math.ceil(n / unit) * unit;

/** The layout for problems of a shape. */
export function kernelLayout(rows: number, columns: number): KernelLayout {
  const [paddedRows, stride] = [upTo(rows, GROUP), upTo(columns, STEP)];
  let bytes = 0;
  const room = (floats: number): number => {
    const at = bytes;
    bytes += 4 * floats;
    return at;
  };
  return {
    scale: room(4),
    exponent: room(4),
    ceiling: room(4),
    tolerance: room(4),
    logMass: room(4),
    prescribed: room(4),
    rounds: room(4),
    change: room(4),
    low: room(4),
    high: room(4),
    level: room(4),
    mass: room(4),
    error: room(4),
    logA: room(paddedRows),
    logB: room(stride),
    logU: room(paddedRows),
    logV: room(stride),
    u: room(paddedRows),
    v: room(stride),
    sums: room(stride),
    kernel: room(paddedRows * stride),
    paddedRows,
    stride,
    bytes,
  };
}

const LN2 = Math.LN2;
/** ln 2^k/k!: the series of 2^x. */
const POWERS_OF_TWO = [0, 1, 2, 3, 4, 5, 6, 7].map((k) =>
  Array.from({length: k}, (_, i) => LN2 / (i + 1)).reduce((a, b) => a * b, 1),
);
/** 2/((2k + 1)·ln 2): the series of log₂ in z = (m − 1)/(m + 1). */
const LOGARITHM = [1, 3, 5, 7, 9].map((k) => 2 / (k * LN2));
/** Adding this leaves the nearest integer in the lowest bits. */
const NEAREST = 1.5 * 2 ** 23;
const SQRT_HALF_BITS = new Int32Array(Float32Array.of(Math.SQRT1_2).buffer)[0];

/** 2^x into POWER; 2^±125 beyond. Uses T, BITS. */
const powerOfTwo = (x: Code): Code =>
  statements(
    set(T, maxF32(minF32(x, f32(125)), f32(-125))),
    set(BITS, addF32(get(T), f32(NEAREST))),
    set(T, subF32(get(T), subF32(get(BITS), f32(NEAREST)))),
    set(POWER, addI32s(polynomialF32(get(T), POWERS_OF_TWO), shiftLeft(get(BITS), 23))),
  );

/** log₂ x into Y for x > 0 in normal range; about −127 at 0. Uses X, BITS. */
const logarithm = (x: Code): Code =>
  statements(
    set(X, x),
    // x = 2^e·m with m in [√½, √2), of which ln is 2·artanh((m − 1)/(m + 1)).
    set(BITS, shiftRightSigned(subI32s(get(X), every(SQRT_HALF_BITS)), 23)),
    set(X, subI32s(get(X), shiftLeft(get(BITS), 23))),
    set(X, divF32(subF32(get(X), f32(1)), addF32(get(X), f32(1)))),
    set(Y, mulF32(get(X), get(X))),
    set(Y, addF32(fromSignedF32(get(BITS)), mulF32(get(X), polynomialF32(get(Y), LOGARITHM)))),
  );

/** min(ceiling, τ·(log₂ weight − level − log₂ sum)) into Y. */
const rescaled = (logWeight: Code, sum: Code): Code =>
  statements(logarithm(sum), set(Y, minF32(get(CEILING), mulF32(get(EXPONENT), subF32(subF32(logWeight, get(LEVEL)), get(Y))))));

/** Replaces a stored logarithm by Y, notes the change, and stores the number itself. */
const update = (at: Code, logs: number, powers: number): Code =>
  statements(
    set(CHANGE, maxF32(get(CHANGE), absF32(subF32(get(Y), load(at, logs))))),
    store(at, logs, get(Y)),
    powerOfTwo(get(Y)),
    store(at, powers, get(POWER)),
  );

/** A loop over byte offsets from 0 to `end`. */
const over = (local: number, end: number, step: number, body: Code): Code =>
  statements(
    set(local, i32(0)),
    loop(statements(body, set(local, addI32(get(local), i32(step)))), lessThan(get(local), i32(end))),
  );

/** The four lanes of the four sums of eight vectors: their horizontal sums, into X. */
function horizontalSums(): Code {
  const [a, b, c, d] = [0, 1, 2, 3].map((r) => SUMS[r]);
  const pairs = (p: number, q: number): Code => addF32(lanes(get(p), get(q), [0, 4, 1, 5]), lanes(get(p), get(q), [2, 6, 3, 7]));
  return statements(
    ...[0, 1, 2, 3].map((r) => set(SUMS[r], addF32(get(SUMS[r]), get(SUMS[r + 4])))),
    set(X, pairs(a, b)),
    set(Y, pairs(c, d)),
    set(X, addF32(lanes(get(X), get(Y), [0, 1, 4, 5]), lanes(get(X), get(Y), [2, 3, 6, 7]))),
  );
}

/** Writes the module for problems of a layout. */
function build(at: KernelLayout): Uint8Array<ArrayBuffer> {
  const rowBytes = 4 * at.stride;
  const all = 4 * at.paddedRows;
  const constantAt = (offset: number): Code => load(i32(0), offset);
  const rows = [0, 1, 2, 3];
  const clear = statements(...SUMS.map((sum) => set(sum, f32(0))));
  /** Lane r of a vector in all lanes. */
  const lane = (v: Code, r: number): Code => lanes(v, v, [r, r, r, r] as never);
  const moveOn = set(AT, addI32(get(AT), i32(4 * STEP)));

  /** The level at which the mass whose lanes are in CARRIED becomes m, into Y; 0 if no total is prescribed. */
  const newLevel = statements(
    set(CARRIED, addF32(get(CARRIED), lanes(get(CARRIED), get(CARRIED), [2, 3, 0, 1]))),
    set(CARRIED, addF32(get(CARRIED), lanes(get(CARRIED), get(CARRIED), [1, 0, 3, 2]))),
    logarithm(get(CARRIED)),
    set(Y, mulF32(constantAt(at.prescribed), subF32(constantAt(at.logMass), get(Y)))),
  );

  const makeKernel = statements(
    over(
      I,
      at.paddedRows * rowBytes,
      VECTOR,
      statements(
        set(X, mulF32(load(get(I), at.kernel), constantAt(at.scale))),
        // Forbidden pairs and padding cost +∞: they are no part of the range, and 0 in K.
        set(LOW, minF32(get(LOW), and(get(X), greaterF32(get(X), f32(-1e30))))),
        set(HIGH, maxOrNaN(get(HIGH), get(X))),
        powerOfTwo(get(X)),
        set(POWER, and(get(POWER), greaterF32(get(X), f32(-125)))),
        store(get(I), at.kernel, get(POWER)),
        set(CARRIED, addF32(get(CARRIED), get(POWER))),
      ),
    ),
  );

  const dots = over(
    J,
    rowBytes,
    4 * STEP,
    statements(
      set(X, load(get(J), at.v)),
      set(Y, load(get(J), at.v + VECTOR)),
      ...rows.flatMap((r) => [
        set(SUMS[r], addF32(get(SUMS[r]), mulF32(get(X), load(get(AT), at.kernel + r * rowBytes)))),
        set(SUMS[r + 4], addF32(get(SUMS[r + 4]), mulF32(get(Y), load(get(AT), at.kernel + r * rowBytes + VECTOR)))),
      ]),
      moveOn,
    ),
  );
  const spread = (half: number): Code => {
    const sum = rows.reduce<Code>(
      (s, r) => addF32(s, mulF32(get(U[r]), load(get(AT), at.kernel + r * rowBytes + half))),
      load(get(J), at.sums + half),
    );
    return store(get(J), at.sums + half, sum);
  };
  const back = set(AT, addI32(get(AT), i32(-rowBytes)));
  const nextGroup = set(AT, addI32(get(AT), i32((GROUP - 1) * rowBytes)));

  const round = statements(
    set(CHANGE, f32(0)),
    over(J, rowBytes, VECTOR, store(get(J), at.sums, f32(0))),
    set(AT, i32(0)),
    over(
      I,
      all,
      VECTOR,
      statements(
        clear,
        dots,
        back,
        horizontalSums(),
        rescaled(load(get(I), at.logA), get(X)),
        update(get(I), at.logU, at.u),
        ...rows.map((r) => set(U[r], lane(get(POWER), r))),
        over(J, rowBytes, 4 * STEP, statements(spread(0), spread(VECTOR), moveOn)),
        nextGroup,
      ),
    ),
    set(CARRIED, f32(0)),
    over(
      J,
      rowBytes,
      VECTOR,
      statements(
        rescaled(load(get(J), at.logB), load(get(J), at.sums)),
        update(get(J), at.logV, at.v),
        set(CARRIED, addF32(get(CARRIED), mulF32(get(POWER), load(get(J), at.sums)))),
      ),
    ),
    newLevel,
    set(CHANGE, maxF32(get(CHANGE), absF32(subF32(get(Y), get(LEVEL))))),
    set(LEVEL, get(Y)),
    set(ROUND, addI32(get(ROUND), i32(1))),
  );

  /** u·K·v·s in the place of K, with its sums and what the next half round would make of them. */
  const plan = statements(
    set(LOW, f32(0)),
    set(HIGH, f32(0)),
    set(AT, i32(0)),
    over(
      I,
      all,
      VECTOR,
      statements(
        clear,
        dots,
        back,
        horizontalSums(),
        set(CARRIED, get(X)),
        rescaled(load(get(I), at.logA), get(X)),
        powerOfTwo(get(Y)),
        set(U[0], get(POWER)),
        powerOfTwo(get(LEVEL)),
        set(CARRIED, mulF32(get(CARRIED), get(POWER))),
        set(LOW, addF32(get(LOW), mulF32(get(CARRIED), load(get(I), at.u)))),
        set(HIGH, addF32(get(HIGH), mulF32(get(CARRIED), absF32(subF32(load(get(I), at.u), get(U[0])))))),
        set(Y, mulF32(get(POWER), load(get(I), at.u))),
        ...rows.map((r) => set(U[r], lane(get(Y), r))),
        over(
          J,
          rowBytes,
          4 * STEP,
          statements(
            ...[0, VECTOR].flatMap((half) =>
              rows.map((r) => {
                const k = at.kernel + r * rowBytes + half;
                return store(get(AT), k, mulF32(mulF32(get(U[r]), load(get(AT), k)), load(get(J), at.v + half)));
              }),
            ),
            moveOn,
          ),
        ),
        nextGroup,
      ),
    ),
    store(i32(0), at.mass, get(LOW)),
    store(i32(0), at.error, get(HIGH)),
  );

  const body = statements(
    set(LOW, f32(0)),
    set(HIGH, f32(-1e30)),
    set(CARRIED, f32(0)),
    makeKernel,
    store(i32(0), at.low, get(LOW)),
    store(i32(0), at.high, get(HIGH)),
    set(EXPONENT, constantAt(at.exponent)),
    set(CEILING, constantAt(at.ceiling)),
    newLevel,
    set(LEVEL, get(Y)),
    loop(round, andI32(lessThan(get(ROUND), get(ROUNDS)), anyBit(atLeastF32(get(CHANGE), constantAt(at.tolerance))))),
    store(i32(0), at.rounds, splat(get(ROUND))),
    store(i32(0), at.change, get(CHANGE)),
    store(i32(0), at.level, get(LEVEL)),
    plan,
  );
  return moduleOf(INTEGERS, VECTORS, Math.ceil(at.bytes / PAGE), body);
}

/** A compiled kernel: its memory as floats and as integers, and where things lie in it. */
export interface SinkhornKernel {
  readonly layout: KernelLayout;
  readonly floats: Float32Array;
  readonly integers: Int32Array;
  /** Solves the problem that lies in the memory, in at most so many rounds. */
  readonly run: (rounds: number) => void;
}

/** Compiles the kernel for problems of a shape. */
export function sinkhornKernel(rows: number, columns: number): SinkhornKernel {
  const layout = kernelLayout(rows, columns);
  const {memory, run} = new WebAssembly.Instance(new WebAssembly.Module(build(layout))).exports as {
    memory: WebAssembly.Memory;
    run: (...parameters: number[]) => void;
  };
  return {
    layout,
    floats: new Float32Array(memory.buffer),
    integers: new Int32Array(memory.buffer),
    run: (rounds) => run(rounds, 0, 0, 0, 0),
  };
}
