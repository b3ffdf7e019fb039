/** How alike two lists of numbers are: by value (Pearson), by rank (Spearman), by the order of pairs (Kendall). Float64 throughout. */
import {ShapeError} from '../errors.js';

function checkLengths(where: string, x: ArrayLike<number>, y: ArrayLike<number>): void {
  if (x.length !== y.length) {
    throw new ShapeError(`${where}: wanted two lists of equal length; got ${x.length} and ${y.length} numbers.`);
  }
}

/**
 * Pearson's coefficient, cov(x, y)/√(var x · var y).
 *
 * @returns in [-1, 1]; NaN where it is undefined: fewer than two numbers, a constant list, a number that is not finite.
 * @throws ShapeError if the lengths differ.
 * @source Pearson 1895.
 */
export function pearson(x: ArrayLike<number>, y: ArrayLike<number>): number {
  checkLengths('pearson', x, y);
  const n = x.length;
  let [meanX, meanY] = [0, 0];
  for (let i = 0; i < n; i++) {
    meanX += x[i] / n;
    meanY += y[i] / n;
  }
  let [xx, yy, xy, constantX, constantY] = [0, 0, 0, true, true];
  for (let i = 0; i < n; i++) {
    const [dx, dy] = [x[i] - meanX, y[i] - meanY];
    xx += dx * dx;
    yy += dy * dy;
    xy += dx * dy;
    constantX &&= x[i] === x[0];
    constantY &&= y[i] === y[0];
  }
  // The rounded mean of a constant list need not be that constant, so its variance need not be 0.
  if (constantX || constantY) return NaN;
  return Math.max(-1, Math.min(1, xy / (Math.sqrt(xx) * Math.sqrt(yy))));
}

/**
 * The rank of each number, from 1 for the smallest; equal numbers share the mean of their ranks; NaN has rank NaN.
 *
 * @source Kendall 1945, "The treatment of ties in ranking problems".
 */
export function ranks(x: ArrayLike<number>): Float64Array {
  const sorted = Float64Array.from(x).sort();
  /** How many of the sorted numbers lie below `value`, or, with `orEqual`, not above it. */
  const below = (value: number, orEqual: boolean): number => {
    let [from, to] = [0, sorted.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (sorted[middle] < value || (orEqual && sorted[middle] === value)) from = middle + 1;
      else to = middle;
    }
    return from;
  };
  return Float64Array.from(x, (value) => (Number.isNaN(value) ? NaN : (below(value, false) + below(value, true) + 1) / 2));
}

/**
 * Spearman's ρ: Pearson's coefficient of the ranks, ties at their mean rank.
 *
 * @returns in [-1, 1]; NaN where it is undefined: fewer than two numbers, a constant list, a NaN.
 * @throws ShapeError if the lengths differ.
 * @source Spearman 1904; scipy.stats.spearmanr.
 */
export function spearman(x: ArrayLike<number>, y: ArrayLike<number>): number {
  checkLengths('spearman', x, y);
  return pearson(ranks(x), ranks(y));
}

/** Pairs among `n` things. */
const pairs = (n: number): number => (n * (n - 1)) / 2;

/** Pairs of neighbours in a sorted order that `same` joins, runs counted whole. */
function tiedPairs(n: number, same: (i: number) => boolean): number {
  let total = 0;
  for (let start = 0, i = 1; i <= n; i++) {
    if (i < n && same(i)) continue;
    total += pairs(i - start);
    start = i;
  }
  return total;
}

/** Sorts `values` and counts the pairs that stood in the wrong order. */
function sortCountingInversions(values: Float64Array): number {
  let inversions = 0;
  let from: Float64Array = values;
  let to: Float64Array = new Float64Array(values.length);
  for (let width = 1; width < values.length; width *= 2) {
    for (let start = 0; start < values.length; start += 2 * width) {
      const middle = Math.min(start + width, values.length);
      const end = Math.min(start + 2 * width, values.length);
      let [left, right] = [start, middle];
      for (let at = start; at < end; at++) {
        if (left < middle && (right >= end || from[left] <= from[right])) to[at] = from[left++];
        else {
          inversions += middle - left;
          to[at] = from[right++];
        }
      }
    }
    [from, to] = [to, from];
  }
  values.set(from);
  return inversions;
}

/**
 * Kendall's τ_b: concordant less discordant pairs, over √(pairs untied in x · pairs untied in y).
 *
 * Takes O(n log n).
 *
 * @returns in [-1, 1]; NaN where it is undefined: fewer than two numbers, a constant list, a NaN.
 * @throws ShapeError if the lengths differ.
 * @source Kendall 1945; Knight 1966, "A computer method for calculating Kendall's tau with ungrouped data".
 */
export function kendall(x: ArrayLike<number>, y: ArrayLike<number>): number {
  checkLengths('kendall', x, y);
  const n = x.length;
  for (let i = 0; i < n; i++) if (Number.isNaN(x[i]) || Number.isNaN(y[i])) return NaN;
  // Infinities are compared, never subtracted: they rank like any other number.
  const compare = (a: number, b: number): number => (a < b ? -1 : a > b ? 1 : 0);
  const order = Int32Array.from({length: n}, (_, i) => i).sort((i, j) => compare(x[i], x[j]) || compare(y[i], y[j]));
  const byX = Float64Array.from(order, (i) => x[i]);
  const byY = Float64Array.from(order, (i) => y[i]);
  const tiedX = tiedPairs(n, (i) => byX[i] === byX[i - 1]);
  const tiedBoth = tiedPairs(n, (i) => byX[i] === byX[i - 1] && byY[i] === byY[i - 1]);
  const discordant = sortCountingInversions(byY);
  const tiedY = tiedPairs(n, (i) => byY[i] === byY[i - 1]);
  const difference = pairs(n) - tiedX - tiedY + tiedBoth - 2 * discordant;
  return difference / (Math.sqrt(pairs(n) - tiedX) * Math.sqrt(pairs(n) - tiedY));
}
