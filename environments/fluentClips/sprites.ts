/** The sprites as numbers, and how a sprite of any size and place is sampled: the renderer and the judge share it. */
import {spriteData} from './spriteData.js';
import {colors, colorValues, type Color, type Noun, type Rgb} from './spec.js';

/** Texels along the side of a sprite. */
export const spriteSide = 16;

/** Channels of a texel: fixed red, green, blue, then tint and alpha, premultiplied. */
export const spriteChannels = 5;

/** One noun's artwork. */
export interface Sprite {
  /** `[16, 16, 5]`, each in [0, 1]. */
  readonly texels: Float32Array;
  /** Texels along the longer side of the drawn shape: it appears as the object's size. */
  readonly extent: number;
  /** Centre of the drawn shape in texel indices. */
  readonly centerX: number;
  readonly centerY: number;
  readonly natural: Rgb;
}

function decode(noun: Noun): Sprite {
  const {natural, texels: text} = spriteData[noun];
  const texels = Float32Array.from(Buffer.from(text, 'base64'), (v) => v / 255);
  let left = spriteSide;
  let right = -1;
  let top = spriteSide;
  let bottom = -1;
  for (let y = 0; y < spriteSide; y++) {
    for (let x = 0; x < spriteSide; x++) {
      if (texels[(y * spriteSide + x) * spriteChannels + 4] <= 0.25) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
  }
  const extent = Math.max(right - left + 1, bottom - top + 1);
  return {texels, extent, centerX: (left + right) / 2, centerY: (top + bottom) / 2, natural};
}

const cache = new Map<Noun, Sprite>();

/** The artwork of a noun. */
export function spriteOf(noun: Noun): Sprite {
  let sprite = cache.get(noun);
  if (sprite === undefined) cache.set(noun, (sprite = decode(noun)));
  return sprite;
}

/** The colour an object is painted with. */
export const paintOf = (noun: Noun, color: Color | null): Rgb => (color === null ? spriteOf(noun).natural : colorValues[color]);

/** The colour word that fits what is seen: of the natural colour the nearest one, by squared distance in RGB. */
export function seenColor(noun: Noun, color: Color | null): Color {
  if (color !== null) return color;
  const natural = spriteOf(noun).natural;
  const distance = (c: Color): number => colorValues[c].reduce((sum, v, i) => sum + (v - natural[i]) ** 2, 0);
  return colors.reduce((best, c) => (distance(c) < distance(best) ? c : best));
}

/**
 * Weights with which the texels of one axis make the pixels of one axis.
 *
 * A pixel is the mean of two samples, a quarter before and after its centre, each interpolated linearly between two texels;
 * beyond the sprite there is nothing. Both axes together are the usual 2x2 supersampling, because it is separable.
 */
export interface AxisWeights {
  /** First pixel that any texel reaches. */
  start: number;
  /** Pixels from `start` on. */
  length: number;
  /** `[length, 16]`. */
  readonly weights: Float32Array;
  /** First and one past the last texel of each pixel, `[length, 2]`. */
  readonly spans: Uint8Array;
}

/** Room for the weights of an axis of up to `side` pixels, to be filled again and again. */
export const axisWeights = (side: number): AxisWeights => ({
  start: 0,
  length: 0,
  weights: new Float32Array(side * spriteSide),
  spans: new Uint8Array(side * 2),
});

/**
 * Fills the weights of an axis.
 *
 * @param center where the shape's centre lies, in pixels; pixel `p` covers [p, p + 1).
 * @param scale texels a pixel.
 * @param spriteCenter the shape's centre in texel indices.
 * @param from @param to the pixels that may be drawn, [from, to).
 */
export function fillAxis(out: AxisWeights, center: number, scale: number, spriteCenter: number, from: number, to: number): void {
  // A sample at texel coordinate u in (-1, 16) touches a texel.
  const first = Math.max(from, Math.floor(center + (-1 - spriteCenter) / scale - 0.75));
  const last = Math.min(to, Math.ceil(center + (spriteSide - spriteCenter) / scale - 0.25) + 1);
  const {weights, spans} = out;
  let length = 0;
  out.start = first;
  for (let p = first; p < last; p++) {
    const at = length * spriteSide;
    weights.fill(0, at, at + spriteSide);
    let low = spriteSide;
    let high = 0;
    for (let half = 0; half < 2; half++) {
      const u = (p + 0.25 + half / 2 - center) * scale + spriteCenter;
      const texel = Math.floor(u);
      const fraction = u - texel;
      if (texel >= 0 && texel < spriteSide) {
        weights[at + texel] += (1 - fraction) / 2;
        low = Math.min(low, texel);
        high = Math.max(high, texel + 1);
      }
      if (texel >= -1 && texel < spriteSide - 1) {
        weights[at + texel + 1] += fraction / 2;
        low = Math.min(low, texel + 1);
        high = Math.max(high, texel + 2);
      }
    }
    if (high > low) {
      spans[2 * length] = low;
      spans[2 * length + 1] = high;
      length++;
    } else if (length === 0) {
      out.start = p + 1;
    } else break;
  }
  out.length = length;
}
