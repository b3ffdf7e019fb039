/** How well a sprite at a place explains a picture. */
import type {Template} from './template.js';

/** A picture to explain, at brightness 1. */
export class Picture {
  readonly side: number;
  /** What is seen, `[side, side, 3]`. */
  readonly seen: Float32Array;
  /** What is explained so far, `[side, side, 3]`. */
  readonly explained: Float32Array;
  /** Squared difference of the two over the channels, `[side, side]`; see {@link compare}. */
  readonly error: Float32Array;
  /** Sums of `error` over the rectangles from the first pixel, `[side + 1, side + 1]`. */
  readonly #sums: Float64Array;

  constructor(side: number) {
    this.side = side;
    this.seen = new Float32Array(side * side * 3);
    this.explained = new Float32Array(side * side * 3);
    this.error = new Float32Array(side * side);
    this.#sums = new Float64Array((side + 1) ** 2);
  }

  /** Brings `error` up to date. */
  compare(): void {
    const {seen, explained, error} = this;
    for (let p = 0, i = 0; p < error.length; p++, i += 3) {
      const r = seen[i] - explained[i];
      const g = seen[i + 1] - explained[i + 1];
      const b = seen[i + 2] - explained[i + 2];
      error[p] = r * r + g * g + b * b;
    }
    const {side} = this;
    const sums = this.#sums;
    for (let y = 0; y < side; y++) {
      let row = 0;
      for (let x = 0; x < side; x++) {
        row += error[y * side + x];
        sums[(y + 1) * (side + 1) + x + 1] = sums[y * (side + 1) + x + 1] + row;
      }
    }
  }

  /** Sum of `error` over a rectangle (inclusive), as far as it is inside of the picture. */
  errorWithin(left: number, right: number, top: number, bottom: number): number {
    const {side} = this;
    const sums = this.#sums;
    const x0 = Math.max(0, left);
    const x1 = Math.min(side, right + 1);
    const y0 = Math.max(0, top) * (side + 1);
    const y1 = Math.min(side, bottom + 1) * (side + 1);
    return x0 >= x1 || y0 >= y1 ? 0 : sums[y1 + x1] - sums[y0 + x1] - sums[y1 + x0] + sums[y0 + x0];
  }
}

/** The result of a fit. One object is filled again and again. */
export interface Fit {
  /** Squared error that the template takes away; negative infinity if too much of it is outside the frame. */
  gain: number;
  /** Share of the squared error under the template and its ring that it takes away, at most 1. */
  evidence: number;
  /** The best colour, each channel in [0, 1.05]. */
  red: number;
  green: number;
  blue: number;
}

/** Room for a fit. */
export const newFit = (): Fit => ({gain: -Infinity, evidence: 0, red: 0, green: 0, blue: 0});

/** Share of a sprite that must lie inside the frame. */
const insideShare = 0.55;

const paintRange = (v: number): number => (v < 0 ? 0 : v > 1.05 ? 1.05 : v);

/**
 * Fits a template, shifted by whole pixels, to a picture.
 *
 * With u = seen − fixed − (1 − alpha)·explained, the error of colour c is Σu² − 2c·Σ(tint·u) + c²·Σtint²: one pass gives the
 * best colour and its error.
 */
export function fitTemplate(out: Fit, template: Template, dx: number, dy: number, picture: Picture): void {
  const {count, xs, ys, values, places} = template;
  const {side, seen, explained, error} = picture;
  const clipped = dx + template.left < 0 || dy + template.top < 0 || dx + template.right >= side || dy + template.bottom >= side;
  const origin = dy * side + dx;
  let before = 0;
  let squares = 0;
  let red = 0;
  let green = 0;
  let blue = 0;
  let tints = clipped ? 0 : template.tints;
  let inside = clipped ? 0 : template.area;
  for (let j = 0; j < count; j++) {
    const v = 5 * j;
    const tint = values[v + 3];
    const alpha = values[v + 4];
    if (clipped) {
      const x = dx + xs[j];
      const y = dy + ys[j];
      if (x < 0 || y < 0 || x >= side || y >= side) continue;
      inside += alpha;
      tints += tint * tint;
    }
    const p = origin + places[j];
    before += error[p];
    const i = 3 * p;
    const rest = 1 - alpha;
    const r = seen[i] - values[v] - rest * explained[i];
    const g = seen[i + 1] - values[v + 1] - rest * explained[i + 1];
    const b = seen[i + 2] - values[v + 2] - rest * explained[i + 2];
    squares += r * r + g * g + b * b;
    red += tint * r;
    green += tint * g;
    blue += tint * b;
  }
  if (inside < insideShare * template.area || tints < 1e-6) {
    out.gain = -Infinity;
    out.evidence = 0;
    return;
  }
  out.red = paintRange(red / tints);
  out.green = paintRange(green / tints);
  out.blue = paintRange(blue / tints);
  const after =
    squares -
    2 * (out.red * red + out.green * green + out.blue * blue) +
    (out.red * out.red + out.green * out.green + out.blue * out.blue) * tints;
  out.gain = before - after;
  out.evidence = 1 - after / (before + 1e-6);
}
