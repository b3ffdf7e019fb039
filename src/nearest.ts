/** "Did you mean …?": the known name that a mistyped one is closest to. */

/** Case and the marks between words do not count: `learning_rate`, `learning-rate` and `learningRate` are one name. */
const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '');

/**
 * The candidate nearest to a name by edits (insert, delete, replace, swap neighbours), if it is near enough to be meant:
 * at most a third of the longer name's letters.
 *
 * @example nearest('learning_rat', ['learningRate', 'seed']) // 'learningRate'
 */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Infinity;
  for (const candidate of candidates) {
    const [a, b] = [plain(name).slice(0, 64), plain(candidate)];
    const d = distance(a, b);
    if (d <= Math.max(a.length, b.length) / 3 && d < bestDistance) [best, bestDistance] = [candidate, d];
  }
  return best;
}

/** The end of a message about an unknown name: `; did you mean "x"?`, or a list of all if none is near. */
export function suggestion(name: string, candidates: readonly string[]): string {
  const near = nearest(name, candidates);
  return near === undefined ? `; known: ${candidates.join(', ')}.` : `; did you mean "${near}"?`;
}

/** Edit distance with swaps of neighbours (optimal string alignment). */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({length: b.length + 1}, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(replaced, previous[j] + 1, row[j - 1] + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) row[j] = Math.min(row[j], before[j - 2] + 1);
    }
    [before, previous] = [previous, row];
  }
  return previous[b.length];
}
