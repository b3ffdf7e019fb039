/** A picture in memory, RGB with 8 bits, and the three things that are done to it: fill, clip, text. */
import {ShapeError} from '../errors.js';
import type {NdArray} from '../tensor/ndarray.js';
import {glyph, glyphOf, printable} from './font.js';

/** Red, green and blue, each 0 to 255. */
export type Colour = readonly [number, number, number];

/** What pictures are drawn on, and what is written on them. */
export const paper: Colour = [250, 250, 250];
/** See {@link paper}. */
export const ink: Colour = [30, 30, 30];

/** A picture that can be drawn on; `pixels` is `[height, width, 3]`. */
export interface Canvas {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

/** A new canvas of one colour. */
export function canvas(width: number, height: number, colour: Colour): Canvas {
  const pixels = new Uint8Array(width * height * 3);
  for (let i = 0; i < pixels.length; i++) pixels[i] = colour[i % 3];
  return {width, height, pixels};
}

/** Fills a rectangle, as far as it lies on the picture. Whole numbers. */
export function fillRectangle({width, height, pixels}: Canvas, x: number, y: number, w: number, h: number, colour: Colour): void {
  for (let row = Math.max(y, 0); row < Math.min(y + h, height); row++) {
    for (let column = Math.max(x, 0); column < Math.min(x + w, width); column++) pixels.set(colour, (row * width + column) * 3);
  }
}

/**
 * Draws one frame of a clip, every pixel as a square of `scale`.
 *
 * @param clip `[F, H, W, C]` uint8, C = 3 (RGB) or 1 (grey).
 * @throws ShapeError if it is something else.
 */
export function drawFrame(on: Canvas, clip: NdArray<'uint8'>, frame: number, x: number, y: number, scale: number): void {
  const {height, width, channels} = clipSize(clip);
  const start = frame * height * width * channels;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const at = start + (row * width + column) * channels;
      const [r, g, b] = channels === 3 ? [0, 1, 2] : [0, 0, 0];
      const colour = [clip.data[at + r], clip.data[at + g], clip.data[at + b]] as const;
      fillRectangle(on, x + column * scale, y + row * scale, scale, scale, colour);
    }
  }
}

/**
 * Frames, height, width and channels of a clip.
 *
 * @throws ShapeError if it is not `[F, H, W, C]` uint8 with at least one pixel and C = 1 or 3.
 */
export function clipSize(clip: NdArray<'uint8'>): {frames: number; height: number; width: number; channels: number} {
  const [frames = 0, height = 0, width = 0, channels = 0, ...more] = clip.shape;
  if (clip.dtype !== 'uint8' || more.length > 0 || frames * height * width === 0 || (channels !== 1 && channels !== 3)) {
    throw new ShapeError(`picture: wanted a clip [F, H, W, 1 or 3] of uint8; got ${clip.dtype} [${clip.shape.join(', ')}].`);
  }
  return {frames, height, width, channels};
}

/** Writes text, its upper left corner at (x, y), every point as a square of `scale`. */
export function drawText(on: Canvas, text: string, x: number, y: number, scale: number, colour: Colour): void {
  [...printable(text)].forEach((character, i) => {
    glyphOf(character).forEach((row, dy) => {
      row.forEach((point, dx) => {
        if (point) fillRectangle(on, x + (i * glyph.advance + dx) * scale, y + dy * scale, scale, scale, colour);
      });
    });
  });
}

/**
 * Breaks text into lines that fit a width, at spaces where there are any; what does not fit `lines` lines ends in dots.
 *
 * @param width in pixels, for letters of `scale`.
 */
export function wrapText(text: string, width: number, scale: number, lines: number): string[] {
  const perLine = Math.max(Math.floor((width / scale + 1) / glyph.advance), 4);
  const out: string[] = [];
  let rest = printable(text).trim();
  while (rest !== '' && out.length < lines) {
    if (rest.length <= perLine) {
      out.push(rest);
      return out;
    }
    if (out.length === lines - 1) {
      out.push(`${rest.slice(0, perLine - 3).trimEnd()}...`);
      return out;
    }
    const space = rest.lastIndexOf(' ', perLine);
    const end = space > 0 ? space : perLine;
    out.push(rest.slice(0, end));
    rest = rest.slice(end).trim();
  }
  return out;
}
