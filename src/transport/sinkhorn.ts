/** Sinkhorn's iteration for batches of problems, fast: single precision and kernels, where that is safe. */
import {
  checked,
  emptyPlans,
  total,
  weighted,
  type CheckedBatch,
  type SinkhornOptions,
  type TransportBatch,
  type TransportPlans,
} from './batch.js';
import {scalingOf} from './formulation.js';
import {solveInLogDomain} from './logSinkhorn.js';
import {NO_WEIGHT, sinkhornKernel, type SinkhornKernel} from './sinkhornKernel.js';

/** |C|/ε up to which exp(−C/ε) and the scalings that it asks for stay within float32, with room for products of two. */
const LARGEST_EXPONENT = 40;
/** Bits of ln u and ln v from which on they count as having left float32. */
const LARGEST_SCALING = 120;
/** Below this tolerance, rounding of single precision would keep a problem from ever stopping. */
const FINEST_TOLERANCE = 1e-5;

/** Solutions in single precision. */
export interface SinkhornPlans extends TransportPlans<Float32Array> {
  /** 1 where a problem was left to the log domain in double precision: `[count]`. */
  readonly inLogDomain: Uint8Array;
}

/** Kernels by shape, the latest last; a handful, since a program has few shapes. */
const kernels = new Map<string, SinkhornKernel>();
const KEPT = 8;

function kernelFor(rows: number, columns: number): SinkhornKernel {
  const key = `${rows}×${columns}`;
  const kernel = kernels.get(key) ?? sinkhornKernel(rows, columns);
  kernels.delete(key);
  kernels.set(key, kernel);
  if (kernels.size > KEPT) kernels.delete(kernels.keys().next().value!);
  return kernel;
}

type Points = readonly number[];

/** Whether two stretches of an array are equal. */
function sameAs(x: Float64Array, at: number, other: number, n: number): boolean {
  for (let i = 0; i < n; i++) if (x[at + i] !== x[other + i]) return false;
  return true;
}

/** One side of the problems: the points that are no padding, moved together, so that padding never decides which lane sums what. */
class Side {
  /** Which points of the problem at hand have a weight. */
  points: readonly number[] = [];
  private readonly weights: Float64Array;
  private readonly n: number;
  private readonly exponent: number;
  private readonly logs: Float32Array;
  private readonly scalings: Float32Array;
  /** log₂ of the weights, and log₂ u or v before the first round; NO_WEIGHT and what it comes to where there is no point. */
  private readonly logWeights: Float32Array;
  private readonly start: Float32Array;

  constructor(weights: Float64Array, n: number, exponent: number, logs: Float32Array, scalings: Float32Array) {
    this.weights = weights;
    this.n = n;
    this.exponent = Math.fround(exponent);
    this.logs = logs;
    this.scalings = scalings;
    this.logWeights = new Float32Array(logs.length);
    this.start = new Float32Array(logs.length);
  }

  /** Writes problem k's weights, which are often those of the problem before it. */
  write(k: number): void {
    const {weights, n, logWeights, start} = this;
    if (k === 0 || !sameAs(weights, k * n, (k - 1) * n, n)) {
      this.points = weighted(weights, k * n, n);
      logWeights.fill(NO_WEIGHT);
      start.fill(this.exponent * Math.fround(NO_WEIGHT));
      start.fill(0, 0, this.points.length);
      this.points.forEach((i, at) => (logWeights[at] = Math.log2(weights[k * n + i])));
    }
    this.logs.set(logWeights);
    this.scalings.set(start);
  }

  /** Potentials of problem k from the logarithms of the scalings; false if one has left float32. */
  read(k: number, epsilon: number, out: Float64Array): boolean {
    const {points, n, scalings} = this;
    for (let at = 0; at < points.length; at++) {
      if (!(Math.abs(scalings[at]) < LARGEST_SCALING)) return false;
      out[k * n + points[at]] = scalings[at] * Math.LN2 * epsilon;
    }
    return true;
  }
}

/** Writes the costs of problem k, +∞ where there is no point; what the entropy is relative to is a part of them. */
function writeCosts(
  k: number,
  {costs, rows, columns}: CheckedBatch,
  {entropy, epsilon}: SinkhornOptions,
  kernel: SinkhornKernel,
  is: Points,
  js: Points,
): void {
  const {layout, floats} = kernel;
  for (let r = 0; r < layout.paddedRows; r++) {
    const at = layout.kernel / 4 + r * layout.stride;
    if (r >= is.length) {
      floats.fill(Infinity, at, at + layout.stride);
      continue;
    }
    const from = (k * rows + is[r]) * columns;
    if (js.length === columns) floats.set(costs.subarray(from, from + columns), at);
    else for (let c = 0; c < js.length; c++) floats[at + c] = costs[from + js[c]];
    floats.fill(Infinity, at + js.length, at + layout.stride);
    if (entropy === 'relative') {
      const unit = epsilon * Math.LN2;
      const [logA, logB] = [floats[layout.logA / 4 + r], layout.logB / 4];
      for (let c = 0; c < js.length; c++) floats[at + c] -= unit * (logA + floats[logB + c]);
    }
  }
}

/** Reads the plan of problem k. */
function readPlan(
  k: number,
  {rows, columns}: CheckedBatch,
  {layout, floats}: SinkhornKernel,
  is: Points,
  js: Points,
  out: Float32Array,
): void {
  for (let r = 0; r < is.length; r++) {
    const at = layout.kernel / 4 + r * layout.stride;
    const to = (k * rows + is[r]) * columns;
    if (js.length === columns) out.set(floats.subarray(at, at + columns), to);
    else for (let c = 0; c < js.length; c++) out[to + js[c]] = floats[at + c];
  }
}

/**
 * Solves every problem of a batch. Each is solved on its own, so its solution does not depend on what else is in the batch.
 *
 * The rounds are products with exp(−C/ε) in single precision. A problem is solved in the log domain instead, and marked, where some
 * |C| exceeds 40·ε (shift costs so that their smallest is 0), where its scalings leave float32, or, all of them, if the tolerance is
 * below 1e-5.
 *
 * @returns plans in float32, to about 1e-6 of their size.
 * @source Cuturi 2013, arXiv:1306.0895; and as `formulation.ts` says.
 * @throws ShapeError, ConfigError for a batch that is not one or that its problem has no solution for; NonFiniteError naming a
 * problem without a finite solution.
 */
export function sinkhorn(batch: TransportBatch, options: SinkhornOptions): SinkhornPlans {
  const whole = checked(batch, options);
  const {count, rows, columns, rowWeights, columnWeights} = whole;
  const {epsilon, iterations = 200, tolerance = 1e-3} = options;
  const {exponent, ceiling, mass} = scalingOf(options);
  const out = {...emptyPlans(whole, new Float32Array(whole.costs.length)), inLogDomain: new Uint8Array(count)};
  const kernel = kernelFor(rows, columns);
  const {layout, floats, integers} = kernel;
  const at = (offset: number): number => offset / 4;
  const constant = (offset: number, value: number): unknown => floats.fill(value, at(offset), at(offset) + 4);
  const part = (offset: number, n: number): Float32Array => floats.subarray(at(offset), at(offset) + n);
  const lanes = (offset: number): Float32Array => part(offset, 4);
  const sum = (x: Float32Array): number => total(x, 0, x.length);

  constant(layout.scale, -Math.LOG2E / epsilon);
  constant(layout.exponent, exponent);
  constant(layout.ceiling, ceiling);
  constant(layout.tolerance, tolerance * Math.LOG2E);
  constant(layout.logMass, mass === undefined ? 0 : Math.log2(mass));
  constant(layout.prescribed, mass === undefined ? 0 : 1);
  const [logA, logU] = [layout.logA, layout.logU].map((offset) => part(offset, layout.paddedRows));
  const [logB, logV] = [layout.logB, layout.logV].map((offset) => part(offset, layout.stride));
  const rowSide = new Side(rowWeights, rows, exponent, logA, logU);
  const columnSide = new Side(columnWeights, columns, exponent, logB, logV);
  const ones = part(layout.v, layout.stride);
  // Rounding may lift a cost that is just at the limit.
  const limit = LARGEST_EXPONENT * Math.LOG2E * (1 + 1e-6);
  const fine = tolerance > 0 && tolerance < FINEST_TOLERANCE;
  for (let k = 0; k < count; k++) {
    if (!fine) {
      rowSide.write(k);
      columnSide.write(k);
      writeCosts(k, whole, options, kernel, rowSide.points, columnSide.points);
      ones.fill(1);
      kernel.run(iterations);
      const safe =
        Math.min(...lanes(layout.low)) >= -limit &&
        Math.max(...lanes(layout.high)) <= limit &&
        rowSide.read(k, epsilon, out.rowPotentials) &&
        columnSide.read(k, epsilon, out.columnPotentials);
      if (safe) {
        readPlan(k, whole, kernel, rowSide.points, columnSide.points, out.plan);
        if (mass !== undefined) out.level[k] = floats[at(layout.level)] * Math.LN2 * epsilon;
        out.mass[k] = sum(lanes(layout.mass));
        out.marginalError[k] = sum(lanes(layout.error));
        out.iterations[k] = integers[at(layout.rounds)];
        out.converged[k] = Math.max(...lanes(layout.change)) < floats[at(layout.tolerance)] ? 1 : 0;
        continue;
      }
    }
    out.inLogDomain[k] = 1;
    solveInLogDomain(k, whole, options, out);
  }
  return out;
}
