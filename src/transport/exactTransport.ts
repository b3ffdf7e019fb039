/** Optimal transport without entropy, for small problems: the linear programme, solved by shortest augmenting paths. */
import {NonFiniteError} from '../errors.js';
import {checked, total, type TransportBatch} from './batch.js';
import {withDummyPoint} from './dummyPoint.js';

/** An optimal plan and its certificate. */
export interface ExactPlan {
  /** P: `[rows, columns]`. */
  readonly plan: Float64Array;
  /** ⟨C, P⟩. */
  readonly cost: number;
  /** Dual prices: f_i + g_j ≤ C_ij everywhere, with equality where P_ij > 0; so ⟨a, f⟩ + ⟨b, g⟩ is the cost. */
  readonly rowPotentials: Float64Array;
  readonly columnPotentials: Float64Array;
}

/** One problem: a batch of one. */
export type ExactProblem = Omit<TransportBatch, 'count'>;

/** Supplies and demands below this share of the total are rounding. */
const NOTHING = 1e-14;

/** The nearest column with unmet demand, from any row with supply left. */
class ShortestPaths {
  readonly rowDistance: Float64Array;
  readonly columnDistance: Float64Array;
  /** The row before each column of the tree, and the column before each row; −1 where a path begins. */
  readonly rowBefore: Int32Array;
  readonly columnBefore: Int32Array;

  constructor(n: number, m: number) {
    this.rowDistance = new Float64Array(n);
    this.columnDistance = new Float64Array(m);
    this.rowBefore = new Int32Array(m);
    this.columnBefore = new Int32Array(n);
  }

  /**
   * Dijkstra's search over reduced costs: rows reach all columns, columns the rows that send to them.
   *
   * @returns the column it ends at, or −1.
   */
  search(supply: Float64Array, demand: Float64Array, reduced: (i: number, j: number) => number, flow: Float64Array): number {
    const {rowDistance, columnDistance, rowBefore, columnBefore} = this;
    const [n, m] = [supply.length, demand.length];
    const [rowDone, columnDone] = [new Uint8Array(n), new Uint8Array(m)];
    rowDistance.forEach((_, i) => (rowDistance[i] = supply[i] > 0 ? 0 : Infinity));
    columnDistance.fill(Infinity);
    columnBefore.fill(-1);
    for (;;) {
      let [row, column] = [-1, -1];
      for (let i = 0; i < n; i++) {
        if (!rowDone[i] && rowDistance[i] < (row < 0 ? Infinity : rowDistance[row])) row = i;
      }
      for (let j = 0; j < m; j++) {
        if (!columnDone[j] && columnDistance[j] < (column < 0 ? Infinity : columnDistance[column])) column = j;
      }
      if (row < 0 && column < 0) return -1;
      if (column >= 0 && (row < 0 || columnDistance[column] <= rowDistance[row])) {
        if (demand[column] > 0) return column;
        columnDone[column] = 1;
        for (let i = 0; i < n; i++) {
          // Taking back what a row sends costs its price, which is 0 in reduced costs.
          if (!rowDone[i] && flow[i * m + column] > 0 && columnDistance[column] < rowDistance[i]) {
            rowDistance[i] = columnDistance[column];
            columnBefore[i] = column;
          }
        }
      } else {
        rowDone[row] = 1;
        for (let j = 0; j < m; j++) {
          const through = rowDistance[row] + Math.max(0, reduced(row, j));
          if (!columnDone[j] && through < columnDistance[j]) {
            columnDistance[j] = through;
            rowBefore[j] = row;
          }
        }
      }
    }
  }
}

/**
 * The plan of least cost with the given marginals, or, with `mass`, of least cost among those that move that much and respect the
 * marginals as bounds. Exact up to rounding; time grows with the cube of the number of points and more, so for some hundreds at most.
 *
 * @source Ahuja, Magnanti & Orlin 1993, Network Flows, §9.7 (successive shortest paths); the dummy point as `withDummyPoint` says.
 * @throws ShapeError, ConfigError for what is no problem; NonFiniteError if every plan uses a forbidden pair.
 */
export function exactTransport(problem: ExactProblem, mass?: number): ExactPlan {
  if (mass !== undefined) {
    const wider = withDummyPoint({...problem, count: 1}, mass);
    const whole = exactTransport(wider);
    const {rows, columns} = problem;
    const plan = new Float64Array(rows * columns);
    for (let i = 0; i < rows; i++) {
      plan.set(whole.plan.subarray(i * (columns + 1), i * (columns + 1) + columns), i * columns);
    }
    return {
      plan,
      cost: whole.cost,
      rowPotentials: whole.rowPotentials.subarray(0, rows),
      columnPotentials: whole.columnPotentials.subarray(0, columns),
    };
  }
  const {
    costs,
    rows: n,
    columns: m,
    rowWeights,
    columnWeights,
  } = checked({...problem, count: 1}, {transport: {problem: 'balanced'}, epsilon: 1});
  const [supply, demand] = [rowWeights.slice(), columnWeights.slice()];
  const nothing = NOTHING * total(supply, 0, n);
  const flow = new Float64Array(n * m);
  const f = new Float64Array(n);
  // The cheapest way into each column makes all reduced costs C − f − g at least 0.
  const g = Float64Array.from({length: m}, (_, j) => {
    let least = Infinity;
    for (let i = 0; i < n; i++) if (supply[i] > 0) least = Math.min(least, costs[i * m + j]);
    return least;
  });
  if (columnWeights.some((b, j) => b > 0 && !Number.isFinite(g[j]))) throw unreachable();
  const reduced = (i: number, j: number): number => costs[i * m + j] - f[i] - g[j];
  const paths = new ShortestPaths(n, m);
  while (total(supply, 0, n) > nothing && total(demand, 0, m) > nothing) {
    const end = paths.search(supply, demand, reduced, flow);
    if (end < 0) throw unreachable();
    const {rowDistance, columnDistance, rowBefore, columnBefore} = paths;
    const reach = columnDistance[end];
    for (let i = 0; i < n; i++) f[i] += reach - Math.min(rowDistance[i], reach);
    for (let j = 0; j < m; j++) g[j] -= reach - Math.min(columnDistance[j], reach);
    let moved = demand[end];
    let start = rowBefore[end];
    for (; columnBefore[start] >= 0; start = rowBefore[columnBefore[start]]) {
      moved = Math.min(moved, flow[start * m + columnBefore[start]]);
    }
    moved = Math.min(moved, supply[start]);
    const less = (x: Float64Array, at: number): void => {
      x[at] -= moved;
      if (x[at] <= nothing) x[at] = 0;
    };
    for (let j = end; ;) {
      const i = rowBefore[j];
      flow[i * m + j] += moved;
      if (columnBefore[i] < 0) break;
      j = columnBefore[i];
      less(flow, i * m + j);
    }
    less(supply, start);
    less(demand, end);
  }
  const cost = flow.reduce((sum, p, at) => (p > 0 ? sum + p * costs[at] : sum), 0);
  return {plan: flow, cost, rowPotentials: f, columnPotentials: g};
}

const unreachable = (): NonFiniteError =>
  new NonFiniteError('exactTransport: every plan uses a pair whose cost is +∞ or no number.');
