/** Sinkhorn's iteration in the log domain and in double precision: the reference, for any costs and any ε. */
import {
  checked,
  emptyPlans,
  notFinite,
  weighted,
  type CheckedBatch,
  type SinkhornOptions,
  type TransportBatch,
  type TransportPlans,
} from './batch.js';
import {scalingOf} from './formulation.js';
import {nextLevel} from './level.js';

/** ln Σ exp(x_i) of n elements that lie `stride` apart. */
function logSumExp(x: Float64Array, from: number, n: number, stride: number, plus: Float64Array): number {
  let largest = -Infinity;
  for (let i = 0; i < n; i++) largest = Math.max(largest, x[from + i * stride] + plus[i]);
  if (largest === -Infinity) return -Infinity;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += Math.exp(x[from + i * stride] + plus[i] - largest);
  return largest + Math.log(sum);
}

/**
 * Solves problem k of a batch into `out`.
 *
 * @throws NonFiniteError if it has no finite solution.
 */
export function solveInLogDomain(k: number, batch: CheckedBatch, options: SinkhornOptions, out: TransportPlans): void {
  const {costs, rows, columns, rowWeights, columnWeights} = batch;
  const {epsilon, entropy = 'plain', iterations = 200, tolerance = 1e-3} = options;
  const {exponent, ceiling, mass} = scalingOf(options);
  const is = weighted(rowWeights, k * rows, rows);
  const js = weighted(columnWeights, k * columns, columns);
  const [n, m] = [is.length, js.length];
  const logA = Float64Array.from(is, (i) => Math.log(rowWeights[k * rows + i]));
  const logB = Float64Array.from(js, (j) => Math.log(columnWeights[k * columns + j]));
  const kernel = new Float64Array(n * m);
  is.forEach((i, r) => {
    js.forEach((j, c) => {
      const reference = entropy === 'relative' ? logA[r] + logB[c] : 0;
      kernel[r * m + c] = reference - costs[(k * rows + i) * columns + j] / epsilon;
    });
  });

  const logU = new Float64Array(n);
  const logV = new Float64Array(m);
  // So that the first plan, with u = v = 1, has the mass that is asked for.
  let level = mass === undefined ? 0 : Math.log(mass) - logSumExp(kernel, 0, n * m, 1, new Float64Array(n * m));
  let change = Infinity;
  const rowSums = new Float64Array(n);
  const columnSums = new Float64Array(m);
  const sumRows = (): void => rowSums.forEach((_, i) => (rowSums[i] = logSumExp(kernel, i * m, m, 1, logV)));
  const sumColumns = (): void => columnSums.forEach((_, j) => (columnSums[j] = logSumExp(kernel, j, n, m, logU)));
  const moveLevel = (sums: Float64Array, logWeights: Float64Array): void => {
    if (mass === undefined) return;
    const next = nextLevel(level, sums, logWeights, mass);
    change = Math.max(change, Math.abs(next - level));
    level = next;
  };
  /** The new ln u or ln v of a point whose log weight and log kernel sum are given. */
  const scaled = (logWeight: number, logSum: number): number => Math.min(ceiling, exponent * (logWeight - level - logSum));
  const rescale = (logs: Float64Array, logWeights: Float64Array, sums: Float64Array): void =>
    logs.forEach((before, i) => {
      logs[i] = scaled(logWeights[i], sums[i]);
      change = Math.max(change, Math.abs(logs[i] - before));
    });
  let round = 0;
  while (round < iterations && change >= tolerance) {
    change = 0;
    sumRows();
    moveLevel(rowSums, logA);
    rescale(logU, logA, rowSums);
    sumColumns();
    moveLevel(columnSums, logB);
    rescale(logV, logB, columnSums);
    round++;
  }

  sumRows();
  let [moved, error] = [0, 0];
  is.forEach((i, r) => {
    const at = (k * rows + i) * columns;
    let sum = 0;
    js.forEach((j, c) => {
      const p = Math.exp(logU[r] + kernel[r * m + c] + logV[c] + level);
      out.plan[at + j] = p;
      sum += p;
    });
    moved += sum;
    // Row sums go with u, of which the next half round would make another.
    error += Math.abs(sum - sum * Math.exp(scaled(logA[r], rowSums[r]) - logU[r]));
    out.rowPotentials[k * rows + i] = epsilon * logU[r];
  });
  js.forEach((j, c) => (out.columnPotentials[k * columns + j] = epsilon * logV[c]));
  if (!Number.isFinite(moved) || !Number.isFinite(change)) throw notFinite(k);
  out.level[k] = epsilon * level;
  out.mass[k] = moved;
  out.marginalError[k] = error + (mass === undefined ? 0 : Math.abs(moved - mass));
  out.iterations[k] = round;
  out.converged[k] = change < tolerance ? 1 : 0;
}

/**
 * Solves every problem of a batch in the log domain and in double precision. About two hundred times slower than
 * {@link sinkhorn}, and right for any ε.
 *
 * @returns plans in float64.
 * @throws ShapeError, ConfigError as `checked` says; NonFiniteError naming a problem without a finite solution.
 */
export function logSinkhorn(batch: TransportBatch, options: SinkhornOptions): TransportPlans<Float64Array> {
  const whole = checked(batch, options);
  const out = emptyPlans(whole, new Float64Array(whole.costs.length));
  for (let k = 0; k < whole.count; k++) solveInLogDomain(k, whole, options, out);
  return out;
}
