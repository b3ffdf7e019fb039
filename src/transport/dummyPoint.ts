/** Partial transport as a balanced problem. */
import {checked, total, type TransportBatch} from './batch.js';

/**
 * Adds a row and a column that take what is not moved: the dummy row gives the columns what they lack, the dummy column takes what
 * the rows keep, at no cost, and nothing goes from dummy to dummy. A balanced plan then moves exactly `mass` between real points.
 *
 * That is exact partial transport if the balanced problem is solved exactly. Solved with an entropy, the entropy counts the dummies'
 * mass too, so the plan is smoother than that of `{problem: 'partial'}`, whose entropy is of what is moved alone.
 *
 * @param mass m, at most the smaller total of each problem.
 * @returns problems of `rows + 1` and `columns + 1` points, the dummies last.
 * @source Chapel et al. 2020, arXiv:2002.08276, §3.
 * @throws as the solvers do for a partial problem.
 */
export function withDummyPoint(batch: TransportBatch, mass: number): TransportBatch {
  const {costs, count, rows, columns, rowWeights, columnWeights} = checked(batch, {
    transport: {problem: 'partial', mass},
    epsilon: 1,
  });
  const [n, m] = [rows + 1, columns + 1];
  const out = {
    costs: new Float64Array(count * n * m),
    rowWeights: new Float64Array(count * n),
    columnWeights: new Float64Array(count * m),
  };
  for (let k = 0; k < count; k++) {
    for (let i = 0; i < rows; i++) {
      const from = (k * rows + i) * columns;
      out.costs.set(costs.subarray(from, from + columns), (k * n + i) * m);
    }
    out.costs[(k * n + rows) * m + columns] = Infinity;
    const [a, b] = [rowWeights.subarray(k * rows, (k + 1) * rows), columnWeights.subarray(k * columns, (k + 1) * columns)];
    out.rowWeights.set(a, k * n);
    out.columnWeights.set(b, k * m);
    out.rowWeights[k * n + rows] = Math.max(0, total(b, 0, columns) - mass);
    out.columnWeights[k * m + columns] = Math.max(0, total(a, 0, rows) - mass);
  }
  return {...out, count, rows: n, columns: m};
}
