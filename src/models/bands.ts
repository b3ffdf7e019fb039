/** The banded matrices of small convolutions with zero padding, one for each tap of the kernel. */

/**
 * `bands[tap][from][to]` = 1 where output position `to` reads input position `from` through kernel tap `tap`.
 *
 * @param rows, columns of the grid; `radius` 1 means 3 taps along an axis.
 */
export function spatialBands(rows: number, columns: number): number[][] {
  const n = rows * columns;
  return Array.from({length: 9}, (_, tap) => {
    const [dy, dx] = [Math.floor(tap / 3) - 1, (tap % 3) - 1];
    const band = new Array<number>(n * n).fill(0);
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        const [fromY, fromX] = [y + dy, x + dx];
        if (fromY < 0 || fromX < 0 || fromY >= rows || fromX >= columns) continue;
        band[(fromY * columns + fromX) * n + y * columns + x] = 1;
      }
    }
    return band;
  });
}

/** The same for three taps in time. */
export function temporalBands(frames: number): number[][] {
  return Array.from({length: 3}, (_, tap) => {
    const band = new Array<number>(frames * frames).fill(0);
    for (let t = 0; t < frames; t++) {
      const from = t + tap - 1;
      if (from >= 0 && from < frames) band[t * frames + from] = 1;
    }
    return band;
  });
}
