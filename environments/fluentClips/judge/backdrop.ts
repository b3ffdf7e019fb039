/** Which backdrop a clip has: the member of the finite family that fits most of the picture best. */
import {backdropPlane, offsets, variants} from '../backdrop.js';
import type {Preset, Scene} from '../spec.js';
import {selectSmallest} from './select.js';

/** The best backdrop of a picture. */
export interface BackdropFit {
  readonly scene: Scene;
  /** `[side, side, 3]` at brightness 1. */
  readonly plane: Float32Array;
  /** Brightness of the picture. */
  readonly gain: number;
  /** Mean absolute error of the better 65 % of the pixels. */
  readonly error: number;
  /** How much worse the best backdrop of any other scene fits. */
  readonly margin: number;
}

/** Share of the pixels that must fit; the rest may be covered by objects. */
const visibleShare = 0.65;
const gainRange = [0.85, 1.12] as const;
/** Candidates that are compared again on every pixel. */
const finalists = 12;

/**
 * Makes the fitter of a preset.
 *
 * @returns `fit(picture)`, with `picture [side, side, 3]` in [0, 1].
 */
export function backdropFitter({side, scenes}: Preset): (picture: Float32Array) => BackdropFit {
  const candidates = scenes.flatMap((scene) =>
    Array.from({length: variants * offsets}, (_, i) => ({
      scene,
      plane: backdropPlane(scene, Math.floor(i / offsets), i % offsets, side),
    })),
  );
  // A coarse grid of odd spacing against the period of the scenes, and all pixels.
  const coarse: number[] = [];
  for (let y = 1; y < side; y += 3) for (let x = 1; x < side; x += 3) coarse.push((y * side + x) * 3);
  const grid = Int32Array.from(coarse);
  const all = Int32Array.from({length: side * side}, (_, i) => i * 3);
  const buffer = new Float32Array(side * side);
  const errors = new Float32Array(candidates.length);
  const gains = new Float32Array(candidates.length);

  /** Fits candidate `i` on some pixels: the gain is the median ratio, the error a trimmed mean. */
  const measure = (i: number, picture: Float32Array, pixels: Int32Array): void => {
    const {plane} = candidates[i];
    const n = pixels.length;
    for (let j = 0; j < n; j++) {
      const at = pixels[j];
      buffer[j] = (picture[at] + picture[at + 1] + picture[at + 2]) / (plane[at] + plane[at + 1] + plane[at + 2] + 1e-3);
    }
    const gain = Math.min(gainRange[1], Math.max(gainRange[0], selectSmallest(buffer, n, n >> 1)));
    for (let j = 0; j < n; j++) {
      const at = pixels[j];
      buffer[j] =
        Math.abs(picture[at] - gain * plane[at]) +
        Math.abs(picture[at + 1] - gain * plane[at + 1]) +
        Math.abs(picture[at + 2] - gain * plane[at + 2]);
    }
    const kept = Math.floor(n * visibleShare);
    selectSmallest(buffer, n, kept);
    let error = 0;
    for (let j = 0; j < kept; j++) error += buffer[j];
    errors[i] = error / kept / 3;
    gains[i] = gain;
  };

  return (picture) => {
    for (let i = 0; i < candidates.length; i++) measure(i, picture, grid);
    const order = Array.from(errors.keys()).sort((a, b) => errors[a] - errors[b]);
    const coarseError = errors[order[0]];
    const {scene} = candidates[order[0]];
    const rival = order.find((i) => candidates[i].scene !== scene);
    const margin = rival === undefined ? 1 : errors[rival] - coarseError;
    order.length = Math.min(order.length, finalists);
    for (const i of order) measure(i, picture, all);
    const best = order.reduce((a, b) => (errors[b] < errors[a] ? b : a));
    return {scene: candidates[best].scene, plane: candidates[best].plane, gain: gains[best], error: errors[best], margin};
  };
}
