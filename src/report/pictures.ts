/**
 * Videos as files that people look at: animated WebP, GIF for TensorBoard, PNG sheets.
 *
 * Tiny clips are enlarged by whole factors without smoothing, so that a pixel stays a pixel, and are stored without loss.
 */
import sharp from 'sharp';
import {ShapeError} from '../errors.js';
import {sizeOf, type NdArray} from '../tensor/ndarray.js';
import {canvas, clipSize, drawFrame, drawText, ink, paper, wrapText, type Canvas, type Colour} from './canvas.js';
import {glyph} from './font.js';

/** A finished picture file. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly bytes: Uint8Array;
}

/** How an animation is made. */
export interface AnimationOptions {
  /** Frames per second; default 8. */
  readonly framesPerSecond?: number;
  /** The clip is enlarged by the smallest whole factor that makes its shorter side at least so many pixels; default 128. */
  readonly minimumSide?: number;
}

/** One row of a sheet: a caption, and one or several clips of the same prompt side by side, such as before and after. */
export interface SheetRow {
  readonly caption: string;
  /** Each `[F, H, W, C]` uint8; all of a sheet are of one size. */
  readonly clips: readonly NdArray<'uint8'>[];
}

/** How a sheet is laid out. */
export interface SheetOptions {
  /** Names above the columns of clips, such as `before` and `after`. */
  readonly headings?: readonly string[];
  /** Frames shown of each clip, evenly spaced with the first and the last among them; default all, at most 8. */
  readonly frames?: number;
  /** As in `AnimationOptions`; default 72 in a sheet of frames, 128 in an animated one. */
  readonly minimumSide?: number;
}

const faint: Colour = [110, 110, 110];
const letter = 2;
const lineHeight = (glyph.height + 2) * letter;
const gap = 4;
const wideGap = 20;

/** Clip `index` of a batch `[B, F, H, W, C]`, as a view `[F, H, W, C]`. */
export function clipOf(videos: NdArray<'uint8'>, index: number): NdArray<'uint8'> {
  const shape = videos.shape.slice(1);
  const size = sizeOf(shape);
  return {dtype: 'uint8', shape, data: videos.data.subarray(index * size, (index + 1) * size)};
}

/**
 * An animated WebP of one clip, without loss.
 *
 * @param clip `[F, H, W, C]` uint8, C = 3 or 1.
 * @throws ShapeError if it is something else.
 */
export const animatedWebp = (clip: NdArray<'uint8'>, options: AnimationOptions = {}): Promise<Picture> =>
  animation(enlarged(clip, options), 'webp', options);

/** An animated GIF of one clip, which TensorBoard plays; 256 colours. Otherwise as `animatedWebp`. */
export const animatedGif = (clip: NdArray<'uint8'>, options: AnimationOptions = {}): Promise<Picture> =>
  animation(enlarged(clip, options), 'gif', options);

const scaleFor = (clip: NdArray<'uint8'>, side: number): number => {
  const {height, width} = clipSize(clip);
  return Math.max(1, Math.ceil(side / Math.min(height, width)));
};

function enlarged(clip: NdArray<'uint8'>, {minimumSide = 128}: AnimationOptions): Canvas[] {
  const {frames, height, width} = clipSize(clip);
  const scale = scaleFor(clip, minimumSide);
  return Array.from({length: frames}, (_, frame) => {
    const page = canvas(width * scale, height * scale, paper);
    drawFrame(page, clip, frame, 0, 0, scale);
    return page;
  });
}

async function animation(
  pages: readonly Canvas[],
  format: 'webp' | 'gif',
  {framesPerSecond = 8}: AnimationOptions,
): Promise<Picture> {
  const {width, height} = pages[0];
  const raw = {width, height: height * pages.length, channels: 3 as const, pageHeight: height};
  const image = sharp(Buffer.concat(pages.map((page) => page.pixels)), {raw});
  const timing = {delay: pages.map(() => Math.round(1000 / framesPerSecond)), loop: 0};
  const file = format === 'webp' ? image.webp({lossless: true, effort: 4, ...timing}) : image.gif({effort: 1, ...timing});
  return {width, height, bytes: await file.toBuffer()};
}

/**
 * A PNG with one row per prompt: the frames of each of its clips from left to right, the caption below.
 *
 * @throws ShapeError if there are no clips, or if they differ in size.
 */
export async function contactSheet(rows: readonly SheetRow[], options: SheetOptions = {}): Promise<Picture> {
  const {frames} = clipSize(firstClip(rows));
  const shown = Math.min(options.frames ?? 8, frames);
  const indices = Array.from({length: shown}, (_, i) => (shown === 1 ? 0 : Math.round((i * (frames - 1)) / (shown - 1))));
  return png(layOut(rows, {minimumSide: 72, ...options}, indices));
}

/**
 * An animated WebP with one row per prompt in which all clips play, the caption below: the picture of before and after.
 *
 * @throws ShapeError if there are no clips, or if they differ in size.
 */
export async function animatedSheet(rows: readonly SheetRow[], options: SheetOptions & AnimationOptions = {}): Promise<Picture> {
  const {frames} = clipSize(firstClip(rows));
  const pages = Array.from({length: frames}, (_, frame) => layOut(rows, {minimumSide: 128, ...options}, [frame]));
  return animation(pages, 'webp', options);
}

/** A canvas as a PNG. */
export async function png({width, height, pixels}: Canvas): Promise<Picture> {
  const bytes = await sharp(pixels, {raw: {width, height, channels: 3}})
    .png()
    .toBuffer();
  return {width, height, bytes};
}

function firstClip(rows: readonly SheetRow[]): NdArray<'uint8'> {
  const first = rows[0]?.clips[0];
  if (first === undefined) throw new ShapeError('sheet: wanted at least one row with one clip; got none.');
  const odd = rows.flatMap((row) => row.clips).find((clip) => clip.shape.join() !== first.shape.join());
  if (odd !== undefined)
    throw new ShapeError(`sheet: clips of [${first.shape.join(', ')}] and of [${odd.shape.join(', ')}] do not go together.`);
  return first;
}

function layOut(rows: readonly SheetRow[], {headings = [], minimumSide = 72}: SheetOptions, indices: readonly number[]): Canvas {
  const clip = firstClip(rows);
  const {height, width} = clipSize(clip);
  const scale = scaleFor(clip, minimumSide);
  const cell = {width: width * scale, height: height * scale};
  const columns = Math.max(...rows.map((row) => row.clips.length));
  const groupWidth = indices.length * (cell.width + gap) - gap;
  const textWidth = columns * (groupWidth + wideGap) - wideGap;
  const captions = rows.map((row) => wrapText(row.caption, textWidth, letter, 4));
  const top = headings.length > 0 ? lineHeight + gap : 0;
  const heights = captions.map((lines) => cell.height + gap + lines.length * lineHeight + wideGap);
  const sheet = canvas(textWidth + 2 * wideGap, wideGap + top + heights.reduce((a, b) => a + b, 0), paper);
  const left = (column: number): number => wideGap + column * (groupWidth + wideGap);
  headings.forEach((heading, column) => {
    const [line = ''] = wrapText(heading, groupWidth, letter, 1);
    drawText(sheet, line, left(column), wideGap, letter, faint);
  });
  let y = wideGap + top;
  rows.forEach((row, r) => {
    row.clips.forEach((one, column) => {
      indices.forEach((frame, i) => drawFrame(sheet, one, frame, left(column) + i * (cell.width + gap), y, scale));
    });
    captions[r].forEach((line, i) => drawText(sheet, line, wideGap, y + cell.height + gap + i * lineHeight, letter, ink));
    y += heights[r];
  });
  return sheet;
}
