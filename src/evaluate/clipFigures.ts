/**
 * What clips look like, in numbers that no reward is made of: signs of a policy that has found a hole in its reward. All are means
 * over the clips `[B, F, H, W, C]`, values in [-1, 1]; C is 3, red, green and blue, for those that speak of colour.
 */
import {sizeOf, type NdArray} from '../tensor/ndarray.js';

type Videos = NdArray<'float32'>;

/** Below this luminance, 0 black to 1 white, a pixel counts as dark. */
const DARK = 0.1;

/** Means of a function over pixels, which is given the place of the first of the pixel's channels. */
function meanOverPixels({shape, data}: Videos, of: (at: number) => number): number {
  const channels = shape[shape.length - 1];
  let sum = 0;
  for (let at = 0; at < data.length; at += channels) sum += of(at);
  return (sum * channels) / data.length;
}

/** Share of pixels whose luminance (Rec. 709 weights on values from 0 to 1) is below 0.1; in [0, 1]. */
export const darkShare = (videos: Videos): number =>
  meanOverPixels(videos, (at) => {
    const [r, g, b] = videos.data.subarray(at, at + 3);
    return (0.2126 * r + 0.7152 * g + 0.0722 * b + 1) / 2 < DARK ? 1 : 0;
  });

/** Mean of a pixel's largest channel minus its smallest, on values from 0 to 1: 0 grey, 1 pure colour. */
export const saturation = (videos: Videos): number =>
  meanOverPixels(videos, (at) => {
    const [r, g, b] = videos.data.subarray(at, at + 3);
    return (Math.max(r, g, b) - Math.min(r, g, b)) / 2;
  });

/** Mean absolute difference of a pixel in two frames that follow each other, on values from 0 to 1; 0 for clips of one frame. */
export function motion({shape, data}: Videos): number {
  const [clips, frames] = shape;
  if (frames < 2) return 0;
  const frame = sizeOf(shape.slice(2));
  let sum = 0;
  for (let clip = 0; clip < clips; clip++) {
    const start = clip * frames * frame;
    for (let i = start + frame; i < start + frames * frame; i++) sum += Math.abs(data[i] - data[i - frame]);
  }
  return sum / 2 / (clips * (frames - 1) * frame);
}

/**
 * Share of a frame's variance that lies inside its blocks of 2×2 pixels, in [0, 1]: 0 where blocks are of one colour, 3/4 for white
 * noise, 1 for a grid of single pixels. A frame of one colour, or smaller than a block, has 0; an odd last row or column is left out.
 */
export function highFrequencyShare({shape, data}: Videos): number {
  const [clips, frames, height, width, channels] = shape;
  const [rows, columns] = [Math.floor(height / 2), Math.floor(width / 2)];
  const blocks = rows * columns;
  if (blocks === 0) return 0;
  let sum = 0;
  for (let frame = 0; frame < clips * frames; frame++) {
    let [within, whole] = [0, 0];
    for (let channel = 0; channel < channels; channel++) {
      const at = (y: number, x: number): number => data[((frame * height + y) * width + x) * channels + channel];
      let [total, squares] = [0, 0];
      for (let y = 0; y < 2 * rows; y += 2) {
        for (let x = 0; x < 2 * columns; x += 2) {
          const block = [at(y, x), at(y, x + 1), at(y + 1, x), at(y + 1, x + 1)];
          const mean = (block[0] + block[1] + block[2] + block[3]) / 4;
          for (const value of block) {
            within += (value - mean) ** 2;
            squares += value ** 2;
            total += value;
          }
        }
      }
      whole += squares - total ** 2 / (4 * blocks);
    }
    // Differences of rounding are no variance.
    if (whole > 1e-9 * 4 * blocks * channels) sum += within / whole;
  }
  return sum / (clips * frames);
}

/**
 * Mean over prompts of the root mean squared distance of two clips of the prompt, on values from 0 to 1; 0 if all are alike.
 *
 * @param samples clips of each prompt, side by side; ≥ 2.
 */
export function groupDiversity({shape, data}: Videos, samples: number): number {
  const size = sizeOf(shape.slice(1));
  let [sum, pairs] = [0, 0];
  for (let first = 0; first < shape[0]; first += samples) {
    for (let a = first; a < first + samples; a++) {
      for (let b = a + 1; b < first + samples; b++) {
        let squares = 0;
        for (let i = 0; i < size; i++) squares += (data[a * size + i] - data[b * size + i]) ** 2;
        sum += Math.sqrt(squares / size) / 2;
        pairs++;
      }
    }
  }
  return sum / pairs;
}
