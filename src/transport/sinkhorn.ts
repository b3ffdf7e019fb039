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
import {sinkhornKernel, type SinkhornKernel} from './sinkhornKernel.js';
import {NO_WEIGHT} from './sinkhornLayout.js';

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

function kernelFor(rows: number, columns: number, partial: boolean): SinkhornKernel {
  const key = `${rows}×${columns} ${partial}`;
  const kernel = kernels.get(key) ?? sinkhornKernel(rows, columns, partial);
  kernels.delete(key);
  kernels.set(key, kernel);
  if (kernels.size > KEPT) kernels.delete(kernels.keys().next().value!);
  return kernel;
}

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
  private readonly linear: Float32Array;
  private readonly logs: Float32Array;
  private readonly scalings: Float32Array;
  /** log₂ u or v before the first round: 0, or what {@link NO_WEIGHT} comes to where there is no point. */
  private readonly start: Float32Array;

  /** @param memory the weights, their logarithms and those of the scalings in the kernel's memory. */
  constructor(weights: Float64Array, n: number, exponent: number, memory: readonly [Float32Array, Float32Array, Float32Array]) {
    const [linear, logs, scalings] = memory;
    this.weights = weights;
    this.n = n;
    this.exponent = Math.fround(exponent);
    this.linear = linear;
    this.logs = logs;
    this.scalings = scalings;
    this.start = new Float32Array(logs.length);
  }

  /** Prepares the kernel for problem k, whose weights are often those of the problem before; true if they are not. */
  write(k: number): boolean {
    const {weights, n, linear, logs, start, exponent} = this;
    const differs = k === 0 || !sameAs(weights, k * n, (k - 1) * n, n);
    if (differs) {
      const points = weighted(weights, k * n, n);
      logs.fill(NO_WEIGHT);
      start.fill(exponent * Math.fround(NO_WEIGHT));
      start.fill(0, 0, points.length);
      linear.fill(0);
      points.forEach((i, at) => {
        linear[at] = weights[k * n + i];
        logs[at] = Math.log2(weights[k * n + i]);
      });
      this.points = points;
    }
    this.scalings.set(start);
    return differs;
  }

  /** Potentials of problem k from the logarithms of the scalings; false if one has left float32. */
  read(k: number, epsilon: number, out: Float64Array): boolean {
    const {points, n, scalings} = this;
    const unit = Math.LN2 * epsilon;
    for (let at = 0; at < points.length; at++) {
      const bits = scalings[at];
      if (!(Math.abs(bits) < LARGEST_SCALING)) return false;
      out[k * n + points[at]] = bits * unit;
    }
    return true;
  }
}

/** A kernel at work on a batch. */
class Solver {
  private readonly batch: CheckedBatch;
  private readonly options: SinkhornOptions;
  private readonly kernel: SinkhornKernel;
  private readonly rowSide: Side;
  private readonly columnSide: Side;
  private readonly plain: Float32Array;
  private readonly logs: {readonly a: Float32Array; readonly b: Float32Array};
  private readonly v: Float32Array;
  private readonly present: Int32Array;

  constructor(batch: CheckedBatch, options: SinkhornOptions) {
    const {rows, columns, rowWeights, columnWeights} = batch;
    const {epsilon, tolerance = 1e-3} = options;
    const {exponent, ceiling, mass} = scalingOf(options);
    const kernel = kernelFor(rows, columns, mass !== undefined);
    const {layout, floats} = kernel;
    const {paddedRows, stride} = layout;
    this.batch = batch;
    this.options = options;
    this.kernel = kernel;
    this.logs = {a: floats(layout.logA, paddedRows), b: floats(layout.logB, stride)};
    this.rowSide = new Side(rowWeights, rows, exponent, [
      floats(layout.a, paddedRows),
      this.logs.a,
      floats(layout.logU, paddedRows),
    ]);
    this.columnSide = new Side(columnWeights, columns, exponent, [
      floats(layout.b, stride),
      this.logs.b,
      floats(layout.logV, stride),
    ]);
    this.plain = floats(layout.plain, rows * columns);
    this.v = floats(layout.v, stride);
    this.present = kernel.integers(layout.present, stride);
    const constant = (offset: number, value: number): unknown => floats(offset, 4).fill(value);
    constant(layout.scale, -Math.LOG2E / epsilon);
    constant(layout.exponent, exponent);
    constant(layout.ceiling, ceiling);
    constant(layout.tolerance, tolerance * Math.LOG2E);
    if (mass !== undefined) {
      constant(layout.mass, mass);
      constant(layout.logMass, Math.log2(mass));
    }
  }

  /** Solves problem k into `out`; false if that takes more than single precision. */
  solve(k: number, out: SinkhornPlans): boolean {
    const {rowSide, columnSide, kernel, options} = this;
    const {layout} = kernel;
    const {epsilon, iterations = 200, tolerance = 1e-3} = options;
    rowSide.write(k);
    if (columnSide.write(k)) this.present.fill(0).fill(-1, 0, columnSide.points.length);
    this.writeCosts(k);
    this.v.fill(1);
    kernel.run(iterations);
    // Rounding may lift a cost that is just at the limit.
    const limit = LARGEST_EXPONENT * Math.LOG2E * (1 + 1e-6);
    if (!(Math.min(...this.lanes(layout.low)) >= -limit && Math.max(...this.lanes(layout.high)) <= limit)) return false;
    if (!rowSide.read(k, epsilon, out.rowPotentials) || !columnSide.read(k, epsilon, out.columnPotentials)) return false;
    this.readPlan(k, out.plan);
    out.mass[k] = total(this.lanes(layout.moved), 0, 4);
    out.marginalError[k] = total(this.lanes(layout.error), 0, 4);
    if (options.transport.problem === 'partial') {
      out.level[k] = this.lanes(layout.level)[0] * Math.LN2 * epsilon;
      out.marginalError[k] += Math.abs(out.mass[k] - options.transport.mass);
    }
    out.iterations[k] = kernel.integers(layout.rounds, 1)[0];
    out.converged[k] = Math.max(...this.lanes(layout.change)) < Math.fround(tolerance * Math.LOG2E) ? 1 : 0;
    return true;
  }

  private lanes(offset: number): Float32Array {
    return this.kernel.floats(offset, 4);
  }

  /** The costs of problem k between its points; +∞ in the rows below. What the entropy is relative to is a part of them. */
  private writeCosts(k: number): void {
    const {costs, rows, columns} = this.batch;
    const [is, js] = [this.rowSide.points, this.columnSide.points];
    const {plain, logs} = this;
    const size = rows * columns;
    if (is.length === rows && js.length === columns) plain.set(costs.subarray(k * size, (k + 1) * size));
    else {
      plain.fill(Infinity, is.length * columns);
      for (let r = 0; r < is.length; r++) {
        for (let c = 0; c < js.length; c++) plain[r * columns + c] = costs[k * size + is[r] * columns + js[c]];
      }
    }
    if (this.options.entropy === 'relative') {
      const unit = this.options.epsilon * Math.LN2;
      for (let r = 0; r < is.length; r++) {
        for (let c = 0; c < js.length; c++) plain[r * columns + c] -= unit * (logs.a[r] + logs.b[c]);
      }
    }
  }

  private readPlan(k: number, out: Float32Array): void {
    const {rows, columns} = this.batch;
    const [is, js] = [this.rowSide.points, this.columnSide.points];
    const size = rows * columns;
    if (is.length === rows && js.length === columns) out.set(this.plain, k * size);
    else {
      for (let r = 0; r < is.length; r++) {
        for (let c = 0; c < js.length; c++) out[k * size + is[r] * columns + js[c]] = this.plain[r * columns + c];
      }
    }
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
  const {tolerance = 1e-3} = options;
  const out = {...emptyPlans(whole, new Float32Array(whole.costs.length)), inLogDomain: new Uint8Array(whole.count)};
  const solver = tolerance > 0 && tolerance < FINEST_TOLERANCE ? undefined : new Solver(whole, options);
  for (let k = 0; k < whole.count; k++) {
    if (solver?.solve(k, out)) continue;
    out.inLogDomain[k] = 1;
    solveInLogDomain(k, whole, options, out);
  }
  return out;
}
