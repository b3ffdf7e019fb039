/**
 * Sinkhorn's rounds in single precision as WebAssembly, four lanes wide, one problem at a time: its kernel matrix (16 KB at 16 × 257)
 * stays in the processor's first cache from the first round to the last. Logarithms are to base 2 in here.
 *
 * A module is written for each shape, so that all addresses are constants and padding to whole vectors costs nothing to look after.
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
  loadSplat,
  loop,
  maxF32,
  maxOrNaN,
  minF32,
  moduleOf,
  mulF32,
  select,
  set,
  shiftLeft,
  shiftRightSigned,
  splat,
  store,
  subF32,
  subI32s,
  type Code,
} from '../tensor/vectorCode.js';
import {SINGLE} from './level.js';
import {GROUP, kernelLayout, STEP, type KernelLayout} from './sinkhornLayout.js';

const statements = (...parts: Code[]): Code => parts.flat();
const every = (n: number): Code => i32s(n, n, n, n);

/** Bytes of a vector and of a page of memory. */
const VECTOR = 16;
const PAGE = 65536;
/** Rows that are added to the column sums together. */
const CHUNK = 8;

// Locals: the parameters, then vectors.
const [ROUNDS, ROUND, I, J, AT, PLAIN] = [0, 1, 2, 3, 4, 5];
const INTEGERS = 6;
/** Eight sums under way, or eight u. */
const EIGHT = [6, 7, 8, 9, 10, 11, 12, 13] as const;
const [EXPONENT, CEILING, LEVEL, CHANGE, T, BITS, POWER, X, Y, LOW, HIGH, CARRIED] = [
  14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
];
const VECTORS = 25 - INTEGERS + 1;

/** A polynomial that meets 2^x at the six Chebyshev points of [-½, ½]; off by 1e-7 of it at most between. */
const POWER_OF_TWO = [
  1.000000075454897, 0.6931471880262285, 0.2402210748530827, 0.05550357114219032, 0.00967603191832597, 0.0013390863364764831,
];
/** 2/((2k + 1)·ln 2): the series of log₂ in z = (m − 1)/(m + 1). */
const LOGARITHM = [1, 3, 5, 7].map((k) => 2 / (k * Math.LN2));
/** Adding this leaves the nearest integer in the lowest bits. */
const NEAREST = 1.5 * 2 ** 23;
const SQRT_HALF_BITS = new Int32Array(Float32Array.of(Math.SQRT1_2).buffer)[0];

/** a + b·z. */
const line = (a: number, b: number, z: Code): Code => addF32(f32(a), mulF32(z, f32(b)));

/** 2^x into POWER; 2^±125 beyond. Uses T, BITS. */
function powerOfTwo(x: Code): Code {
  const [c0, c1, c2, c3, c4, c5] = POWER_OF_TWO;
  const z = get(T);
  return statements(
    set(T, maxF32(minF32(x, f32(125)), f32(-125))),
    set(BITS, addF32(z, f32(NEAREST))),
    set(T, subF32(z, subF32(get(BITS), f32(NEAREST)))),
    set(BITS, shiftLeft(get(BITS), 23)),
    set(POWER, mulF32(z, z)),
    // By pairs, so that less waits for what comes before: (c₀ + c₁z) + z²·((c₂ + c₃z) + z²·(c₄ + c₅z)).
    set(POWER, addF32(line(c0, c1, z), mulF32(get(POWER), addF32(line(c2, c3, z), mulF32(get(POWER), line(c4, c5, z)))))),
    set(POWER, addI32s(get(POWER), get(BITS))),
  );
}

/** log₂ x into Y for x > 0 in normal range; about −127 at 0. Uses X, BITS. */
function logarithm(x: Code): Code {
  const [c0, c1, c2, c3] = LOGARITHM;
  const w = get(Y);
  return statements(
    set(X, x),
    // x = 2^e·m with m in [√½, √2), of which ln is 2·artanh((m − 1)/(m + 1)).
    set(BITS, shiftRightSigned(subI32s(get(X), every(SQRT_HALF_BITS)), 23)),
    set(X, subI32s(get(X), shiftLeft(get(BITS), 23))),
    set(X, divF32(subF32(get(X), f32(1)), addF32(get(X), f32(1)))),
    set(Y, mulF32(get(X), get(X))),
    set(Y, addF32(fromSignedF32(get(BITS)), mulF32(get(X), addF32(line(c0, c1, w), mulF32(mulF32(w, w), line(c2, c3, w)))))),
  );
}

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

/** The horizontal sums of the vectors 0 to 3, each with its second half 4 to 7, into X. */
function horizontalSums(): Code {
  const pairs = (p: number, q: number): Code =>
    addF32(lanes(get(EIGHT[p]), get(EIGHT[q]), [0, 4, 1, 5]), lanes(get(EIGHT[p]), get(EIGHT[q]), [2, 6, 3, 7]));
  return statements(
    ...[0, 1, 2, 3].map((r) => set(EIGHT[r], addF32(get(EIGHT[r]), get(EIGHT[r + 4])))),
    set(X, pairs(0, 1)),
    set(Y, pairs(2, 3)),
    set(X, addF32(lanes(get(X), get(Y), [0, 1, 4, 5]), lanes(get(X), get(Y), [2, 3, 6, 7]))),
  );
}

const range = (n: number): number[] => Array.from({length: n}, (_, i) => i);

/** Writes the module for problems of a layout, whose total is prescribed or not. */
function build(at: KernelLayout, partial: boolean): Uint8Array<ArrayBuffer> {
  const rowBytes = 4 * at.stride;
  const plainBytes = 4 * at.columns;
  const constantAt = (offset: number): Code => load(i32(0), offset);
  const moved = (pointer: number, bytes: number): Code => set(pointer, addI32(get(pointer), i32(bytes)));

  /** exp(−C/ε), its sum into CARRIED, and its range in bits. */
  const makeKernel = statements(
    set(LOW, f32(0)),
    set(HIGH, f32(0)),
    set(CARRIED, f32(0)),
    set(AT, i32(0)),
    set(PLAIN, i32(0)),
    over(
      I,
      at.rows,
      1,
      statements(
        over(
          J,
          rowBytes,
          VECTOR,
          statements(
            set(X, mulF32(load(get(PLAIN), at.plain), constantAt(at.scale))),
            set(Y, load(get(J), at.present)),
            // Forbidden pairs cost +∞: they are no part of the range, and 0 in K.
            set(LOW, minF32(get(LOW), and(get(X), and(get(Y), greaterF32(get(X), f32(-1e30)))))),
            set(HIGH, maxOrNaN(get(HIGH), and(get(X), get(Y)))),
            powerOfTwo(get(X)),
            set(POWER, and(get(POWER), and(get(Y), greaterF32(get(X), f32(-125))))),
            store(get(AT), at.kernel, get(POWER)),
            set(CARRIED, addF32(get(CARRIED), get(POWER))),
            moved(PLAIN, VECTOR),
            moved(AT, VECTOR),
          ),
        ),
        moved(PLAIN, plainBytes - rowBytes),
      ),
    ),
    store(i32(0), at.low, get(LOW)),
    store(i32(0), at.high, get(HIGH)),
  );

  /** K·v. */
  const rowSums = statements(
    set(AT, i32(0)),
    over(
      I,
      4 * at.paddedRows,
      4 * GROUP,
      statements(
        ...EIGHT.map((sum) => set(sum, f32(0))),
        over(
          J,
          rowBytes,
          4 * STEP,
          statements(
            set(X, load(get(J), at.v)),
            set(Y, load(get(J), at.v + VECTOR)),
            ...range(GROUP).flatMap((r) => {
              const row = at.kernel + r * rowBytes;
              return [
                set(EIGHT[r], addF32(get(EIGHT[r]), mulF32(get(X), load(get(AT), row)))),
                set(EIGHT[r + 4], addF32(get(EIGHT[r + 4]), mulF32(get(Y), load(get(AT), row + VECTOR)))),
              ];
            }),
            moved(AT, 4 * STEP),
          ),
        ),
        horizontalSums(),
        store(get(I), at.rowSums, get(X)),
        moved(AT, (GROUP - 1) * rowBytes),
      ),
    ),
  );

  /** Adds u times `count` rows from row I/4 on to the column sums, or begins them. */
  const spread = (count: number, begin: boolean): Code => {
    const half = (offset: number): Code => {
      const product = (r: number): Code => mulF32(get(EIGHT[r]), load(get(AT), at.kernel + r * rowBytes + offset));
      const sum = range(count).map(product).reduce(addF32);
      return store(get(J), at.columnSums + offset, begin ? sum : addF32(load(get(J), at.columnSums + offset), sum));
    };
    return statements(
      ...range(count).map((r) => set(EIGHT[r], loadSplat(get(I), at.u + 4 * r))),
      over(J, rowBytes, 4 * STEP, statements(half(0), half(VECTOR), moved(AT, 4 * STEP))),
      moved(AT, (count - 1) * rowBytes),
      moved(I, 4 * count),
    );
  };
  const chunks = Math.floor(at.paddedRows / CHUNK);
  const columnSums = statements(
    set(AT, i32(0)),
    set(I, i32(0)),
    chunks > 0 ? spread(CHUNK, true) : spread(GROUP, true),
    ...(chunks > 1 ? [loop(spread(CHUNK, false), lessThan(get(I), i32(4 * CHUNK * chunks)))] : []),
    ...(chunks > 0 && at.paddedRows > CHUNK * chunks ? [spread(GROUP, false)] : []),
  );

  /** The sum of the lanes of a local, in all of them. */
  const totalled = (local: number): Code =>
    statements(
      set(local, addF32(get(local), lanes(get(local), get(local), [2, 3, 0, 1]))),
      set(local, addF32(get(local), lanes(get(local), get(local), [1, 0, 3, 2]))),
    );

  /** LEVEL after a step towards the total, by one side's sums and weights: `nextLevel` of level.ts. */
  const moveLevel = (sums: number, weights: number, bytes: number): Code => {
    const [scale, full, rest, missing, below, above] = EIGHT;
    return statements(
      powerOfTwo(get(LEVEL)),
      set(scale, get(POWER)),
      ...[full, rest].map((local) => set(local, f32(0))),
      over(
        J,
        bytes,
        VECTOR,
        statements(
          set(X, mulF32(load(get(J), sums), get(scale))),
          set(Y, atLeastF32(get(X), load(get(J), weights))),
          set(full, addF32(get(full), and(load(get(J), weights), get(Y)))),
          set(rest, addF32(get(rest), subF32(get(X), and(get(X), get(Y))))),
        ),
      ),
      ...[full, rest].map(totalled),
      set(missing, subF32(constantAt(at.mass), get(full))),
      set(below, and(greaterF32(get(missing), mulF32(constantAt(at.mass), f32(SINGLE.missing))), greaterF32(get(rest), f32(0)))),
      set(above, greaterF32(absF32(subF32(get(missing), get(rest))), mulF32(constantAt(at.mass), f32(SINGLE.off)))),
      // The numerator and the denominator of what s is multiplied with; both 1 where s is right.
      set(X, select(get(missing), select(constantAt(at.mass), f32(1), get(above)), get(below))),
      set(Y, select(get(rest), select(addF32(get(full), get(rest)), f32(1), get(above)), get(below))),
      logarithm(divF32(get(X), get(Y))),
      set(Y, addF32(get(LEVEL), get(Y))),
      set(CHANGE, maxF32(get(CHANGE), absF32(subF32(get(Y), get(LEVEL))))),
      set(LEVEL, get(Y)),
    );
  };

  const round = statements(
    set(CHANGE, f32(0)),
    rowSums,
    ...(partial ? [moveLevel(at.rowSums, at.a, 4 * at.paddedRows)] : []),
    over(
      I,
      4 * at.paddedRows,
      VECTOR,
      statements(rescaled(load(get(I), at.logA), load(get(I), at.rowSums)), update(get(I), at.logU, at.u)),
    ),
    columnSums,
    ...(partial ? [moveLevel(at.columnSums, at.b, rowBytes)] : []),
    over(
      J,
      rowBytes,
      VECTOR,
      statements(rescaled(load(get(J), at.logB), load(get(J), at.columnSums)), update(get(J), at.logV, at.v)),
    ),
    set(ROUND, addI32(get(ROUND), i32(1))),
  );

  /** The plan's row sums, what the next half round would make of them, and the plan itself in the place of the costs. */
  const plan = statements(
    rowSums,
    set(LOW, f32(0)),
    set(HIGH, f32(0)),
    over(
      I,
      4 * at.paddedRows,
      VECTOR,
      statements(
        powerOfTwo(get(LEVEL)),
        set(CARRIED, mulF32(load(get(I), at.rowSums), get(POWER))),
        set(EIGHT[0], load(get(I), at.u)),
        set(EIGHT[1], mulF32(get(EIGHT[0]), get(POWER))),
        rescaled(load(get(I), at.logA), load(get(I), at.rowSums)),
        powerOfTwo(get(Y)),
        set(LOW, addF32(get(LOW), mulF32(get(CARRIED), get(EIGHT[0])))),
        set(HIGH, addF32(get(HIGH), mulF32(get(CARRIED), absF32(subF32(get(EIGHT[0]), get(POWER)))))),
        store(get(I), at.rowSums, get(EIGHT[1])),
      ),
    ),
    store(i32(0), at.moved, get(LOW)),
    store(i32(0), at.error, get(HIGH)),
    set(AT, i32(0)),
    set(PLAIN, i32(0)),
    over(
      I,
      4 * at.rows,
      4,
      statements(
        set(X, loadSplat(get(I), at.rowSums)),
        // A row's last vector reaches into the next row, which is written after it.
        over(
          J,
          rowBytes,
          VECTOR,
          statements(
            store(get(PLAIN), at.plain, mulF32(mulF32(get(X), load(get(AT), at.kernel)), load(get(J), at.v))),
            moved(PLAIN, VECTOR),
            moved(AT, VECTOR),
          ),
        ),
        moved(PLAIN, plainBytes - rowBytes),
      ),
    ),
  );

  const body = statements(
    makeKernel,
    set(EXPONENT, constantAt(at.exponent)),
    set(CEILING, constantAt(at.ceiling)),
    set(LEVEL, f32(0)),
    // So that the first plan, with u = v = 1, has the mass that is asked for.
    ...(partial ? [totalled(CARRIED), logarithm(get(CARRIED)), set(LEVEL, subF32(constantAt(at.logMass), get(Y)))] : []),
    loop(round, andI32(lessThan(get(ROUND), get(ROUNDS)), anyBit(atLeastF32(get(CHANGE), constantAt(at.tolerance))))),
    store(i32(0), at.rounds, splat(get(ROUND))),
    store(i32(0), at.change, get(CHANGE)),
    store(i32(0), at.level, get(LEVEL)),
    plan,
  );
  return moduleOf(INTEGERS, VECTORS, Math.ceil(at.bytes / PAGE), body);
}

/** A compiled kernel: its memory, and where things lie in it. */
export interface SinkhornKernel {
  readonly layout: KernelLayout;
  /** `n` floats, or integers, from a byte offset on: the memory itself. */
  readonly floats: (offset: number, n: number) => Float32Array;
  readonly integers: (offset: number, n: number) => Int32Array;
  /** Solves the problem that lies in the memory, in at most so many rounds. */
  readonly run: (rounds: number) => void;
}

/** Compiles the kernel for problems of a shape, whose total is prescribed or not. */
export function sinkhornKernel(rows: number, columns: number, partial: boolean): SinkhornKernel {
  const layout = kernelLayout(rows, columns);
  const {memory, run} = new WebAssembly.Instance(new WebAssembly.Module(build(layout, partial))).exports as {
    memory: WebAssembly.Memory;
    run: (...parameters: number[]) => void;
  };
  return {
    layout,
    floats: (offset, n) => new Float32Array(memory.buffer, offset, n),
    integers: (offset, n) => new Int32Array(memory.buffer, offset, n),
    run: (rounds) => run(rounds, 0, 0, 0, 0, 0),
  };
}
