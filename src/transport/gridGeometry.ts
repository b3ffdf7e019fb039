/** The geometry of video tokens that lie on a regular grid. */
import type {TokenGeometry} from '../encoder.js';

const range = (n: number): number[] => Array.from({length: n}, (_, i) => i);
/** i of n as a place in [0, 1]; the only one lies at 0. */
const along = (i: number, n: number): number => (n > 1 ? i / (n - 1) : 0);

/**
 * A CLS token without a place, then frames × rows × columns tokens, column fastest.
 *
 * @source PISCES, released `build_video_token_geometry`.
 */
export function gridGeometry(frames: number, rows: number, columns: number): TokenGeometry {
  const cells = range(frames * rows * columns);
  return {
    frames: [-1, ...cells.map((i) => Math.floor(i / (rows * columns)))],
    rows: [-1, ...cells.map((i) => along(Math.floor(i / columns) % rows, rows))],
    columns: [-1, ...cells.map((i) => along(i % columns, columns))],
  };
}
