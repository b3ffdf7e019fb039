/** Optimal assignment: one column for each row, at the least total cost. */
import {NonFiniteError, ShapeError} from '../errors.js';

/** An assignment and its certificate. */
export interface Assignment {
  /** The column of each row: `[rows]`. */
  readonly columns: Int32Array;
  readonly cost: number;
  /** Dual prices: f_i + g_j ≤ C_ij everywhere, with equality where i is assigned to j; g_j ≤ 0, and 0 where j is free. */
  readonly rowPotentials: Float64Array;
  readonly columnPotentials: Float64Array;
}

/**
 * Solves the assignment problem in O(rows²·columns), exactly up to rounding.
 *
 * @param costs `[rows, columns]`, row-major; +∞ forbids a pair.
 * @param columns at least `rows`; default equal.
 * @source Kuhn 1955; shortest augmenting paths with prices as Jonker & Volgenant 1987.
 * @throws ShapeError for wrong sizes; NonFiniteError if every assignment uses a forbidden pair, or a cost is NaN or −∞.
 */
export function assignment(costs: ArrayLike<number>, rows: number, columns = rows): Assignment {
  if (rows > columns || costs.length !== rows * columns) {
    throw new ShapeError(
      `assignment: wanted costs [rows, columns] with rows ≤ columns; got [${rows}, ${columns}] and ${costs.length} elements.`,
    );
  }
  const f = new Float64Array(rows);
  const g = new Float64Array(columns);
  /** The row of each column, or −1. */
  const owner = new Int32Array(columns).fill(-1);
  const distance = new Float64Array(columns);
  const previous = new Int32Array(columns);
  const done = new Uint8Array(columns);
  for (let start = 0; start < rows; start++) {
    distance.fill(Infinity);
    previous.fill(-1);
    done.fill(0);
    // Grows a tree of shortest paths from the new row until it reaches a free column.
    let [row, reached, last, free] = [start, 0, -1, -1];
    while (free < 0) {
      let next = -1;
      for (let j = 0; j < columns; j++) {
        if (done[j]) continue;
        const through = reached + costs[row * columns + j] - f[row] - g[j];
        if (through < distance[j]) {
          distance[j] = through;
          previous[j] = last;
        }
        if (next < 0 || distance[j] < distance[next]) next = j;
      }
      if (next < 0 || !Number.isFinite(distance[next])) {
        throw new NonFiniteError(`assignment: row ${start} cannot be assigned by finite costs.`);
      }
      reached = distance[next];
      done[next] = 1;
      last = next;
      if (owner[next] < 0) free = next;
      else row = owner[next];
    }
    f[start] += reached;
    for (let j = 0; j < columns; j++) {
      if (!done[j] || j === free) continue;
      g[j] += distance[j] - reached;
      f[owner[j]] += reached - distance[j];
    }
    for (let j = free; j >= 0; j = previous[j]) owner[j] = previous[j] >= 0 ? owner[previous[j]] : start;
  }
  const assigned = new Int32Array(rows);
  owner.forEach((i, j) => {
    if (i >= 0) assigned[i] = j;
  });
  const cost = assigned.reduce((sum, j, i) => sum + costs[i * columns + j], 0);
  return {columns: assigned, cost, rowPotentials: f, columnPotentials: g};
}
