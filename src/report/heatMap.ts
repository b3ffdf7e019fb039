/** Numbers of a table as colours, with the numbers on them. */
import {canvas, drawText, fillRectangle, ink, paper, type Colour} from './canvas.js';
import {glyph} from './font.js';
import {png, type Picture} from './pictures.js';

/** A table of numbers. */
export interface HeatMap {
  readonly title: string;
  /** Above the columns and beside the rows. */
  readonly columnLabel: string;
  readonly rowLabel: string;
  readonly columns: readonly string[];
  readonly rows: readonly string[];
  /** `[rows][columns]`; all finite. */
  readonly values: readonly (readonly number[])[];
  /** Digits behind the point. */
  readonly digits: number;
}

const cell = {width: 104, height: 48};
const margin = {left: 110, top: 92, right: 20, bottom: 20};
const letter = 2;

/** From dark violet over green to yellow, so that more is lighter in grey too. The colours are those of matplotlib’s viridis. */
const scale: readonly Colour[] = [
  [68, 1, 84],
  [59, 82, 139],
  [33, 145, 140],
  [94, 201, 98],
  [253, 231, 37],
];

/** The colour of a share: 0 dark, 1 light; what is outside counts as the nearer end. */
export function heatColour(share: number): Colour {
  const along = Math.min(1, Math.max(0, share)) * (scale.length - 1);
  const at = Math.min(scale.length - 2, Math.floor(along));
  const mixed = (channel: number): number =>
    Math.round(scale[at][channel] + (along - at) * (scale[at + 1][channel] - scale[at][channel]));
  return [mixed(0), mixed(1), mixed(2)];
}

/** Draws a table, its smallest number dark and its largest light. */
export async function heatMap({title, columnLabel, rowLabel, columns, rows, values, digits}: HeatMap): Promise<Picture> {
  const all = values.flat();
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const width = Math.max(margin.left + columns.length * cell.width + margin.right, 16 + title.length * glyph.advance * letter);
  const on = canvas(width, margin.top + rows.length * cell.height + margin.bottom, paper);
  drawText(on, title, 8, 8, letter, ink);
  drawText(on, columnLabel, margin.left, 36, letter, ink);
  drawText(on, rowLabel, 8, 36, letter, ink);
  columns.forEach((name, c) => drawText(on, name, margin.left + c * cell.width + 8, 64, letter, ink));
  rows.forEach((name, r) => {
    const y = margin.top + r * cell.height;
    drawText(on, name, 8, y + 16, letter, ink);
    values[r].forEach((value, c) => {
      const share = high > low ? (value - low) / (high - low) : 0.5;
      const x = margin.left + c * cell.width;
      fillRectangle(on, x, y, cell.width - 2, cell.height - 2, heatColour(share));
      drawText(on, value.toFixed(digits), x + 8, y + 16, letter, share > 0.6 ? ink : paper);
    });
  });
  return png(on);
}
