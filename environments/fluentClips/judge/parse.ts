/** Reads a clip back into what it shows: its backdrop, and the objects of every frame. */
import type {Preset} from '../spec.js';
import {backdropFitter, type BackdropFit} from './backdrop.js';
import {Detector, type Detection} from './detect.js';
import {Picture} from './fit.js';

/** A clip and what it was found to show. */
export interface ParsedClip {
  readonly side: number;
  /** Each frame `[side, side, 3]` in [0, 1]. */
  readonly frames: readonly Float32Array[];
  readonly backdrop: BackdropFit;
  /** Objects found in each frame, those with little evidence too. */
  readonly detections: readonly (readonly Detection[])[];
  /** Each frame as the renderer would draw what was found, `[side, side, 3]`, at the brightness of the clip. */
  readonly explanations: readonly Float32Array[];
}

/** Median over the frames of each value. */
function medianFrame(frames: readonly Float32Array[], out: Float32Array): void {
  const n = frames.length;
  const column = new Float32Array(n);
  for (let i = 0; i < out.length; i++) {
    // Insertion sort: there are only a few frames.
    for (let t = 0; t < n; t++) {
      const v = frames[t][i];
      let at = t;
      for (; at > 0 && column[at - 1] > v; at--) column[at] = column[at - 1]!;
      column[at] = v;
    }
    out[i] = (column[(n - 1) >> 1] + column[n >> 1]) / 2;
  }
}

/**
 * Makes the parser of a preset. Not reentrant, and a parsed clip lives until the next call.
 *
 * @returns `parse(values)`, with `values [F, H, W, 3]` in [-1, 1]; what is outside of that range is clipped.
 */
export function clipParser(preset: Preset): (values: Float32Array) => ParsedClip {
  const {side} = preset;
  const size = side * side * 3;
  const frames = Array.from({length: preset.frames}, () => new Float32Array(size));
  const explanations = frames.map(() => new Float32Array(size));
  const median = new Float32Array(size);
  const picture = new Picture(side);
  const fitBackdrop = backdropFitter(preset);
  const detector = new Detector(preset);

  return (values) => {
    frames.forEach((frame, t) => {
      for (let i = 0; i < size; i++) {
        const v = (values[t * size + i] + 1) / 2;
        frame[i] = v > 0 ? (v < 1 ? v : 1) : 0;
      }
    });
    medianFrame(frames, median);
    const backdrop = fitBackdrop(median);
    const {gain, plane} = backdrop;
    let found: Detection[] = [];
    const detections = frames.map((frame, t) => {
      for (let i = 0; i < size; i++) picture.seen[i] = frame[i] / gain;
      picture.explained.set(plane);
      found = detector.detect(picture, found);
      const explanation = explanations[t];
      for (let i = 0; i < size; i++) explanation[i] = picture.explained[i] * gain;
      return found;
    });
    return {side, frames, backdrop, detections, explanations};
  };
}
