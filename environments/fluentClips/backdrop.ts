/**
 * Backdrops: a gradient with one smooth, periodic feature each. The family is finite (scene, variant, offset), so the judge
 * can solve for the backdrop instead of guessing it. Coordinates are in 1/32 of the frame; the period in x is 16.
 */
import type {Rgb, Scene} from './spec.js';

/** Looks of each scene. */
export const variants = 2;
/** Horizontal shifts of each look, in 1/32 of the frame. */
export const offsets = 16;

const clamp = (x: number): number => (x < 0 ? 0 : x > 1 ? 1 : x);
const mix = (a: Rgb, b: Rgb, t: number): Rgb => [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t];
const smoothstep = (from: number, to: number, x: number): number => {
  const t = clamp((x - from) / (to - from));
  return t * t * (3 - 2 * t);
};
const wave = (x: number, phase = 0): number => Math.sin((x * Math.PI) / 8 + phase);

/** Colour of a scene at a point; `y` in [0, 32). */
const paint: Readonly<Record<Scene, (x: number, y: number, variant: number) => Rgb>> = {
  ocean(x, y, variant) {
    const water = mix([0.1, 0.46, 0.62], [0.04, 0.22, 0.42], y / 32);
    const crest = Math.abs(((y + 1.2 * wave(x) + (variant ? 4 : 0) + 11) % 11) - 5.5);
    return mix(water, [0.3, 0.64, 0.76], 0.55 * smoothstep(1.3, 0.5, crest));
  },
  grass(x, y, variant) {
    const below = y - 7 - (variant ? 2.2 : 1.2) * wave(x, variant);
    const field = mix([0.44, 0.7, 0.28], [0.26, 0.5, 0.18], clamp(below / 25));
    return mix([0.62, 0.82, 0.94], field, smoothstep(-0.5, 0.5, below));
  },
  desert(x, y, variant) {
    const below = y - 15 - 2.4 * wave(x, variant ? 1.5 : 0);
    const sky = mix([0.99, 0.88, 0.7], [0.98, 0.8, 0.58], clamp(y / 16));
    const dune = mix([0.88, 0.68, 0.42], [0.76, 0.54, 0.3], clamp(below / 18));
    return mix(sky, dune, smoothstep(-0.5, 0.5, below));
  },
  night(x, y, variant) {
    const sky = mix([0.03, 0.03, 0.14], [0.13, 0.08, 0.28], y / 32);
    const lamp = Math.hypot(((x + 4) % 16) - 8, y - (variant ? 4.5 : 27.5));
    return mix(sky, [0.62, 0.62, 0.5], smoothstep(2.2, 1.4, lamp));
  },
};

const cache = new Map<string, Float32Array>();

/** A backdrop at brightness 1, `[side, side, 3]`, 2x2 supersampled; kept, so do not write to it. */
export function backdropPlane(scene: Scene, variant: number, offset: number, side: number): Float32Array {
  const key = `${scene}/${variant}/${offset}/${side}`;
  const known = cache.get(key);
  if (known !== undefined) return known;
  const plane = new Float32Array(side * side * 3);
  const unit = 32 / side;
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      for (let sample = 0; sample < 4; sample++) {
        const sx = (x + 0.25 + (sample & 1) / 2) * unit + offset;
        const sy = (y + 0.25 + (sample >> 1) / 2) * unit;
        paint[scene](sx, sy, variant).forEach((v, c) => (plane[(y * side + x) * 3 + c] += v / 4));
      }
    }
  }
  cache.set(key, plane);
  return plane;
}
