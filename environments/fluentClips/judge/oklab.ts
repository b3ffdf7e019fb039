/** A colour space in which distance is close to what people see. */
import type {Rgb} from '../spec.js';

/** Lightness and two colour axes. */
export type Oklab = readonly [number, number, number];

const linear = (v: number): number => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const clamp = (v: number): number => (v < 0 ? 0 : v > 1 ? 1 : v);

/**
 * sRGB in [0, 1] (clamped) to OKLab.
 *
 * @source Ottosson 2020, "A perceptual color space for image processing".
 */
export function oklab(rgb: Rgb): Oklab {
  const [r, g, b] = [linear(clamp(rgb[0])), linear(clamp(rgb[1])), linear(clamp(rgb[2]))];
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

/** Euclidean distance in OKLab; black to white is 1. */
export const colorDistance = (a: Oklab, b: Oklab): number => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
