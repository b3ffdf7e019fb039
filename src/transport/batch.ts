/** Batches of transport problems as plain arrays, and their solutions. */
import {ConfigError, NonFiniteError, ShapeError} from '../errors.js';
import type {EntropicOptions} from './formulation.js';

/** Numbers in single or double precision. */
export type Floats = Float32Array | Float64Array;

/**
 * Problems of one shape. A weight of 0 marks padding: that row or column takes no part, its costs are not looked at, and the
 * solution of the rest is the same bit for bit as without it.
 */
export interface TransportBatch {
  /** `[count, rows, columns]`, row-major; +∞ forbids a pair. */
  readonly costs: Floats;
  readonly count: number;
  /** N: points that mass comes from. */
  readonly rows: number;
  /** M: points that it goes to. */
  readonly columns: number;
  /** a ≥ 0: `[count, rows]`, or `[rows]` for all problems alike; default 1/rows. */
  readonly rowWeights?: ArrayLike<number>;
  /** b ≥ 0: `[count, columns]` or `[columns]`; default 1/columns. */
  readonly columnWeights?: ArrayLike<number>;
}

/** When to stop. */
export interface StoppingOptions {
  /** Rounds at most. Default 200. */
  readonly iterations?: number;
  /** A problem stops after a round that changed no ln u, ln v or ln s by as much as this. Default 1e-3. */
  readonly tolerance?: number;
}

/** Options of the array solvers. */
export interface SinkhornOptions extends EntropicOptions, StoppingOptions {}

/** Solutions of a batch. P = exp((f_i + g_j + level − C_ij)/ε), times a_i·b_j if the entropy is relative to the marginals. */
export interface TransportPlans<P extends Floats = Floats> {
  /** P: `[count, rows, columns]`; 0 at padding. */
  readonly plan: P;
  /** f = ε·ln u: `[count, rows]`, in units of cost; −∞ at padding. */
  readonly rowPotentials: Float64Array;
  /** g = ε·ln v: `[count, columns]`. */
  readonly columnPotentials: Float64Array;
  /** ε·ln s: `[count]`; 0 unless the total is prescribed. */
  readonly level: Float64Array;
  /** ΣP: `[count]`. */
  readonly mass: Float64Array;
  /**
   * How far the plan is from its problem's solution, `[count]`: the L1 distance of its row sums from those that the next half
   * round would give them (columns are met exactly). In a balanced problem that is the distance from the row marginals. In a partial
   * one, what the total is off is added.
   */
  readonly marginalError: Float64Array;
  /** Rounds: `[count]`. */
  readonly iterations: Int32Array;
  /** 1 where a problem stopped by its tolerance: `[count]`. */
  readonly converged: Uint8Array;
}

/** A batch of which every part is there, with its defaults filled in. */
export interface CheckedBatch {
  readonly costs: Floats;
  readonly count: number;
  readonly rows: number;
  readonly columns: number;
  /** `[count, rows]` and `[count, columns]`. */
  readonly rowWeights: Float64Array;
  readonly columnWeights: Float64Array;
}

/** Weights `[count, n]` of what was given for them. */
function weights(name: string, given: ArrayLike<number> | undefined, count: number, n: number): Float64Array {
  if (given === undefined) return new Float64Array(count * n).fill(1 / n);
  if (given.length !== n && given.length !== count * n) {
    throw new ShapeError(`transport: ${name} must have ${n} or ${count} × ${n} elements; got ${given.length}.`);
  }
  const all = new Float64Array(count * n);
  for (let i = 0; i < all.length; i++) {
    const w = given[i % given.length];
    if (!(w >= 0 && w < Infinity)) {
      throw new ConfigError(`transport: ${name} must be finite and at least 0; got ${w} at ${i % given.length}.`);
    }
    all[i] = w;
  }
  return all;
}

/** Σ of `n` elements of `x` from `at` on. */
export function total(x: ArrayLike<number>, at: number, n: number): number {
  let sum = 0;
  for (let i = at; i < at + n; i++) sum += x[i];
  return sum;
}

/** Which of `n` weights from `at` on are positive: the points that are no padding. */
export function weighted(weights: Float64Array, at: number, n: number): number[] {
  const points: number[] = [];
  for (let i = 0; i < n; i++) if (weights[at + i] > 0) points.push(i);
  return points;
}

/**
 * Checks a batch against its shape and against what its problem asks of the marginals.
 *
 * @throws ShapeError for wrong lengths; ConfigError for weights that are negative, all 0, of unequal totals in a balanced problem,
 * or of a smaller total than the mass to be moved.
 */
export function checked(batch: TransportBatch, {transport, iterations = 200, tolerance = 1e-3}: SinkhornOptions): CheckedBatch {
  const {costs, count, rows, columns} = batch;
  if (rows < 1 || columns < 1 || costs.length !== count * rows * columns) {
    throw new ShapeError(
      `transport: costs [${count}, ${rows}, ${columns}] must have ${count * rows * columns} elements; got ${costs.length}.`,
    );
  }
  if (!(Number.isInteger(iterations) && iterations >= 1)) {
    throw new ConfigError(`transport: iterations must be an integer of at least 1; got ${iterations}.`);
  }
  if (!(tolerance >= 0)) throw new ConfigError(`transport: tolerance must be at least 0; got ${tolerance}.`);
  const rowWeights = weights('rowWeights', batch.rowWeights, count, rows);
  const columnWeights = weights('columnWeights', batch.columnWeights, count, columns);
  for (let k = 0; k < count; k++) {
    const [a, b] = [total(rowWeights, k * rows, rows), total(columnWeights, k * columns, columns)];
    const of = count > 1 ? ` of problem ${k}` : '';
    if (!(a > 0 && b > 0)) throw new ConfigError(`transport: the marginals${of} must have a positive total; got ${a} and ${b}.`);
    if (transport.problem === 'balanced' && Math.abs(a - b) > 1e-5 * Math.max(a, b)) {
      throw new ConfigError(`transport: a balanced problem needs equal totals; those${of} are ${a} and ${b}.`);
    }
    if (transport.problem === 'partial' && transport.mass > Math.min(a, b) * (1 + 1e-9)) {
      throw new ConfigError(`transport: cannot move mass ${transport.mass}: the totals${of} are ${a} and ${b}.`);
    }
  }
  return {costs, count, rows, columns, rowWeights, columnWeights};
}

/** Room for the solutions of a batch. */
export const emptyPlans = <P extends Floats>({count, rows, columns}: CheckedBatch, plan: P): TransportPlans<P> => ({
  plan,
  rowPotentials: new Float64Array(count * rows).fill(-Infinity),
  columnPotentials: new Float64Array(count * columns).fill(-Infinity),
  level: new Float64Array(count),
  mass: new Float64Array(count),
  marginalError: new Float64Array(count),
  iterations: new Int32Array(count),
  converged: new Uint8Array(count),
});

/** The error for a solution that is not finite. */
export const notFinite = (k: number): NonFiniteError =>
  new NonFiniteError(
    `transport: problem ${k} has no finite solution; its costs must be finite, or +∞ for forbidden pairs with at least one allowed pair in each row and column.`,
  );
