/** Points in a plane, in panels side by side on the same axes. */
import {canvas, drawText, fillRectangle, ink, paper, type Colour} from './canvas.js';
import {glyph} from './font.js';
import {seriesColours} from './lineChart.js';
import {png, type Picture} from './pictures.js';

/** Points of one kind. */
export interface PointSet {
  readonly name: string;
  /** `[n, 2]`, x and y in turn. */
  readonly points: Float64Array;
}

/** One panel. */
export interface ScatterPanel {
  readonly title: string;
  readonly sets: readonly PointSet[];
}

const side = 420;
const gap = 24;
const top = 64;
const bottom = 48;
const letter = 2;
const field: Colour = [240, 240, 240];

/** Draws panels; all have the axes that hold all points. */
export async function scatterPlot(title: string, panels: readonly ScatterPanel[]): Promise<Picture> {
  const on = canvas(gap + panels.length * (side + gap), top + side + bottom, paper);
  const ends = ([0, 1] as const).map((axis) => {
    let [low, high] = [Infinity, -Infinity];
    for (const {points} of panels.flatMap(({sets}) => sets)) {
      for (let i = axis; i < points.length; i += 2) [low, high] = [Math.min(low, points[i]), Math.max(high, points[i])];
    }
    return {low, span: high > low ? high - low : 1};
  });
  const place = (value: number, axis: 0 | 1): number =>
    Math.round(6 + ((value - ends[axis].low) / ends[axis].span) * (side - 12));
  drawText(on, title, gap, 8, letter, ink);
  panels.forEach(({title: heading, sets}, p) => {
    const left = gap + p * (side + gap);
    drawText(on, heading, left, 36, letter, ink);
    fillRectangle(on, left, top, side, side, field);
    let x = left;
    sets.forEach(({name, points}, s) => {
      const colour = seriesColours[s % seriesColours.length];
      for (let i = 0; i < points.length; i += 2) {
        fillRectangle(on, left + place(points[i], 0) - 1, top + side - place(points[i + 1], 1) - 1, 3, 3, colour);
      }
      drawText(on, name, x, top + side + 12, letter, colour);
      x += (name.length + 2) * glyph.advance * letter;
    });
  });
  return png(on);
}
