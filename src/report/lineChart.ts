/** Curves in a picture: points joined by lines, with intervals where there are any. */
import type {Interval} from '../evaluate/bootstrap.js';
import {canvas, drawText, fillRectangle, ink, paper, type Canvas, type Colour} from './canvas.js';
import {glyph} from './font.js';
import {png, type Picture} from './pictures.js';

/** One point; a plain number has no interval. */
export interface ChartPoint {
  readonly x: number;
  readonly y: number | Interval;
}

/** One curve. */
export interface ChartLine {
  readonly name: string;
  readonly points: readonly ChartPoint[];
}

/** A chart. */
export interface LineChart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** At most eight, so that colours differ; each with at least one point. */
  readonly lines: readonly ChartLine[];
}

/** Colours that the colour-blind tell apart. @source Okabe & Ito 2008, "Color universal design". */
export const seriesColours: readonly Colour[] = [
  [0, 114, 178],
  [213, 94, 0],
  [0, 158, 115],
  [204, 121, 167],
  [230, 159, 0],
  [86, 180, 233],
  [90, 90, 90],
  [160, 150, 20],
];

const size = {width: 720, height: 480};
const plot = {left: 96, top: 64, right: 690, bottom: 410};
const faint: Colour = [205, 205, 205];
const letter = 2;
const TICKS = 6;

/** About six round numbers between two. */
function ticks(low: number, high: number): number[] {
  const wanted = (high - low) / TICKS;
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= wanted)!;
  const first = Math.ceil(low / step);
  return Array.from({length: Math.floor(high / step) - first + 1}, (_, k) => Number(((first + k) * step).toPrecision(6)));
}

/** Draws a straight line, two points wide. */
function drawLine(on: Canvas, from: readonly [number, number], to: readonly [number, number], colour: Colour): void {
  const steps = Math.max(1, Math.ceil(Math.max(Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1]))));
  for (let i = 0; i <= steps; i++) {
    const along = i / steps;
    const [x, y] = [0, 1].map((axis) => Math.round(from[axis] + along * (to[axis] - from[axis])));
    fillRectangle(on, x, y, 2, 2, colour);
  }
}

const levelOf = (y: number | Interval): number => (typeof y === 'number' ? y : y.mean);
const endsOf = (y: number | Interval): number[] => (typeof y === 'number' ? [y] : [y.low, y.mean, y.high]);

/** Draws curves. */
export async function lineChart({title, xLabel, yLabel, lines}: LineChart): Promise<Picture> {
  const on = canvas(size.width, size.height, paper);
  const points = lines.flatMap((line) => line.points);
  const span = (values: readonly number[]): [low: number, high: number] => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = high > low ? 0.05 * (high - low) : 0.5;
    return [low - room, high + room];
  };
  const [left, right] = span(points.map(({x}) => x));
  const [low, high] = span(points.flatMap(({y}) => endsOf(y)).filter(Number.isFinite));
  const place = (x: number, y: number): [number, number] => [
    plot.left + ((x - left) / (right - left)) * (plot.right - plot.left),
    plot.bottom - ((y - low) / (high - low)) * (plot.bottom - plot.top),
  ];
  for (const y of ticks(low, high)) {
    const row = Math.round(place(left, y)[1]);
    fillRectangle(on, plot.left, row, plot.right - plot.left, 1, faint);
    drawText(on, String(y), 8, row - glyph.height, letter, ink);
  }
  for (const x of ticks(left, right)) {
    const column = Math.round(place(x, low)[0]);
    fillRectangle(on, column, plot.top, 1, plot.bottom - plot.top, faint);
    drawText(on, String(x), column - String(x).length * glyph.advance, plot.bottom + 8, letter, ink);
  }
  lines.forEach(({name, points: own}, i) => {
    const colour = seriesColours[i % seriesColours.length];
    own.forEach(({x, y}, k) => {
      const at = place(x, levelOf(y));
      if (k > 0) drawLine(on, place(own[k - 1].x, levelOf(own[k - 1].y)), at, colour);
      if (typeof y === 'number') return;
      // Curves side by side, so that their intervals do not hide each other.
      const aside = 4 * (i - (lines.length - 1) / 2);
      const [top, bottom] = [place(x, y.high), place(x, y.low)].map(([column, row]): [number, number] => [column + aside, row]);
      drawLine(on, top, bottom, colour);
      fillRectangle(on, Math.round(at[0] + aside) - 3, Math.round(at[1]) - 3, 8, 8, colour);
    });
    const column = plot.left + (i % 4) * 150;
    const row = plot.bottom + 30 + Math.floor(i / 4) * 20;
    drawText(on, name, column, row, letter, colour);
  });
  drawText(on, title, 8, 8, letter, ink);
  drawText(on, yLabel, 8, 36, letter, ink);
  drawText(on, xLabel, plot.right - xLabel.length * glyph.advance * letter, 36, letter, ink);
  return png(on);
}
