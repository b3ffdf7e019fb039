/** A sprite at one size and place, as the list of the pixels that it touches. */
import {axisWeights, fillAxis, spriteChannels, spriteOf, spriteSide, type AxisWeights} from '../sprites.js';
import type {Noun} from '../spec.js';

/** Pixels that a sprite covers, and a ring of one pixel around it where it must not show. */
export interface Template {
  readonly count: number;
  /** Pixel coordinates, `[count]`; they may be outside of the frame. */
  readonly xs: Int16Array;
  readonly ys: Int16Array;
  /** Where each pixel lies from the origin in a picture, `[count]`, in pixels. */
  readonly places: Int32Array;
  /** Range of the pixel coordinates, inclusive. */
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  /** Fixed red, green, blue, tint and alpha, `[count, 5]`. */
  readonly values: Float32Array;
  /** Sum of the alphas. */
  readonly area: number;
  /** Sum of the squared tints. */
  readonly tints: number;
  /** Side of the pictures it is made for. */
  readonly side: number;
}

/** Alpha below which a pixel does not belong to the sprite. */
const visible = 0.02;

/** Draws templates of any size and place for pictures of one size. */
export class TemplateMaker {
  readonly #side: number;
  readonly #extent: number;
  readonly #horizontal: AxisWeights;
  readonly #vertical: AxisWeights;
  readonly #row = new Float32Array(spriteSide * spriteChannels);
  /** The resampled sprite with a margin of one pixel, `[height + 2, width + 2, 5]`. */
  readonly #plane: Float32Array;

  /** @param side of the picture; a template may be twice as large. */
  constructor(side: number) {
    this.#side = side;
    this.#extent = 2 * side;
    this.#horizontal = axisWeights(this.#extent);
    this.#vertical = axisWeights(this.#extent);
    this.#plane = new Float32Array((this.#extent + 2) ** 2 * spriteChannels);
  }

  /** The template of a noun whose shape has its centre at (x, y) and its longest side `size`, in pixels. */
  make(noun: Noun, x: number, y: number, size: number): Template {
    const sprite = spriteOf(noun);
    const scale = sprite.extent / size;
    const left = Math.floor(x) - (this.#extent >> 1);
    const top = Math.floor(y) - (this.#extent >> 1);
    fillAxis(this.#horizontal, x, scale, sprite.centerX, left, left + this.#extent);
    fillAxis(this.#vertical, y, scale, sprite.centerY, top, top + this.#extent);
    this.#draw(sprite.texels);
    return this.#collect();
  }

  /** Resamples the sprite into the plane, which has an empty margin of one pixel. */
  #draw(texels: Float32Array): void {
    const {weights: wx, spans: sx, length: width} = this.#horizontal;
    const {weights: wy, spans: sy, length: height} = this.#vertical;
    const plane = this.#plane;
    const row = this.#row;
    const stride = (width + 2) * spriteChannels;
    plane.fill(0, 0, (height + 2) * stride);
    for (let j = 0; j < height; j++) {
      row.fill(0);
      for (let texel = sy[2 * j]; texel < sy[2 * j + 1]; texel++) {
        const w = wy[j * spriteSide + texel];
        const from = texel * spriteSide * spriteChannels;
        for (let k = 0; k < spriteSide * spriteChannels; k++) row[k] += w * texels[from + k];
      }
      for (let i = 0; i < width; i++) {
        let r = 0;
        let g = 0;
        let b = 0;
        let tint = 0;
        let alpha = 0;
        for (let texel = sx[2 * i]; texel < sx[2 * i + 1]; texel++) {
          const w = wx[i * spriteSide + texel];
          const from = texel * spriteChannels;
          r += w * row[from];
          g += w * row[from + 1];
          b += w * row[from + 2];
          tint += w * row[from + 3];
          alpha += w * row[from + 4];
        }
        if (alpha <= visible) continue;
        const at = (j + 1) * stride + (i + 1) * spriteChannels;
        plane[at] = r;
        plane[at + 1] = g;
        plane[at + 2] = b;
        plane[at + 3] = tint;
        plane[at + 4] = alpha;
      }
    }
  }

  /** Lists the pixels of the sprite and of its ring. */
  #collect(): Template {
    const {start: left, length: width} = this.#horizontal;
    const {start: top, length: height} = this.#vertical;
    const plane = this.#plane;
    const stride = (width + 2) * spriteChannels;
    const end = (height + 2) * stride;
    const shown = (at: number): boolean => at >= 0 && at < end && plane[at + 4] > 0;
    const xs: number[] = [];
    const ys: number[] = [];
    const values: number[] = [];
    for (let j = 0; j < height + 2; j++) {
      for (let i = 0; i < width + 2; i++) {
        const at = j * stride + i * spriteChannels;
        const beside =
          (i > 0 && shown(at - spriteChannels)) ||
          (i <= width && shown(at + spriteChannels)) ||
          shown(at - stride) ||
          shown(at + stride);
        if (!shown(at) && !beside) continue;
        xs.push(left - 1 + i);
        ys.push(top - 1 + j);
        for (let c = 0; c < spriteChannels; c++) values.push(plane[at + c]);
      }
    }
    return template(xs, ys, values, this.#side);
  }
}

/** A template of pixels for pictures of a size. */
function template(xs: readonly number[], ys: readonly number[], values: readonly number[], side: number): Template {
  let area = 0;
  let tints = 0;
  for (let j = 0; j < values.length; j += spriteChannels) {
    area += values[j + 4];
    tints += values[j + 3] ** 2;
  }
  return {
    count: xs.length,
    xs: Int16Array.from(xs),
    ys: Int16Array.from(ys),
    places: Int32Array.from(xs, (x, j) => ys[j] * side + x),
    left: Math.min(...xs),
    right: Math.max(...xs),
    top: Math.min(...ys),
    bottom: Math.max(...ys),
    values: Float32Array.from(values),
    area,
    tints,
    side,
  };
}

/** Every other pixel of a template, as on a chessboard: for searches that only rank. */
export function thin({count, xs, ys, values, side}: Template): Template {
  const kept = Array.from({length: count}, (_, j) => j).filter((j) => ((xs[j] + ys[j]) & 1) === 0);
  return template(
    kept.map((j) => xs[j]),
    kept.map((j) => ys[j]),
    kept.flatMap((j) => [...values.subarray(j * spriteChannels, (j + 1) * spriteChannels)]),
    side,
  );
}
