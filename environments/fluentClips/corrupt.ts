/**
 * Web-like noise. Data from the web has bad clips and wrong captions, and nobody says which: a policy trained on it learns
 * the mixture, and a reward can then move it to the clean part.
 */
import {normal, pick, type Draw} from './draws.js';
import {isColorHeldOut, isMotionHeldOut} from './splits.js';
import {render} from './render.js';
import type {ClipSpec, Color, Motion, Preset} from './spec.js';
import type {Facts, ObjectFacts} from './caption.js';

/** What can be wrong with a clip; one at a time. */
export const flaws = ['blur', 'noise', 'flicker', 'jitter', 'frozen', 'vanishing', 'cast'] as const;
/** One of the flaws. */
export type Flaw = (typeof flaws)[number];

/** A clip being spoilt: pixels to change in place, and what they show. */
export interface Clip {
  readonly preset: Preset;
  readonly spec: ClipSpec;
  readonly pixels: Uint8Array;
  readonly draw: Draw;
}

const toByte = (v: number): number => (v <= 0 ? 0 : v >= 255 ? 255 : Math.round(v));
const clampIndex = (i: number, side: number): number => (i < 0 ? 0 : i >= side ? side - 1 : i);

/** Gaussian blur in space, sigma in pixels; the edges repeat. */
export function blur({preset: {side, frames}, pixels}: Clip, sigma: number): void {
  const radius = Math.ceil(2.5 * sigma);
  const kernel = Array.from({length: 2 * radius + 1}, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * sigma ** 2)));
  const sum = kernel.reduce((a, b) => a + b);
  const size = side * side * 3;
  const rows = new Float32Array(size);
  for (let t = 0; t < frames; t++) {
    const frame = pixels.subarray(t * size, (t + 1) * size);
    for (let y = 0; y < side; y++) {
      for (let i = 0; i < side * 3; i++) {
        let v = 0;
        for (let k = -radius; k <= radius; k++) v += kernel[k + radius] * frame[clampIndex(y + k, side) * side * 3 + i];
        rows[y * side * 3 + i] = v / sum;
      }
    }
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        for (let c = 0; c < 3; c++) {
          let v = 0;
          for (let k = -radius; k <= radius; k++) v += kernel[k + radius] * rows[(y * side + clampIndex(x + k, side)) * 3 + c];
          frame[(y * side + x) * 3 + c] = toByte(v / sum);
        }
      }
    }
  }
}

/** Sensor noise, independent in every value; sigma as a share of white. */
export function noise({pixels, draw}: Clip, sigma: number): void {
  for (let i = 0; i < pixels.length; i++) pixels[i] = toByte(pixels[i] + 255 * sigma * normal(draw, 'noiseValue', i));
}

/** Brightness that jumps from frame to frame; depth is the deviation of the gain. */
export function flicker({preset: {frames}, pixels, draw}: Clip, depth: number): void {
  const size = pixels.length / frames;
  for (let t = 0; t < frames; t++) {
    const gain = 1 + depth * Math.max(-2, Math.min(2, normal(draw, 'flickerGain', t)));
    for (let i = t * size; i < (t + 1) * size; i++) pixels[i] = toByte(gain * pixels[i]);
  }
}

/** The objects are gone after this share of the frames. */
export function vanish({preset, spec, pixels}: Clip, share: number): void {
  const empty = render(preset, {...spec, objects: []});
  const at = (Math.floor(preset.frames * share) * pixels.length) / preset.frames;
  pixels.set(empty.subarray(at), at);
}

const spoil: Readonly<Record<Flaw, (clip: Clip) => void>> = {
  blur: (clip) => blur(clip, 0.6 + 0.6 * clip.draw('blur')),
  noise: (clip) => noise(clip, 0.03 + 0.07 * clip.draw('noise')),
  flicker: (clip) => flicker(clip, 0.05 + 0.07 * clip.draw('flicker')),
  /** Every frame shifted by up to a pixel. */
  jitter({preset: {side, frames}, pixels, draw}) {
    const size = side * side * 3;
    for (let t = 0; t < frames; t++) {
      const dx = pick([-1, 0, 1], draw('jitterX', t));
      const dy = pick([-1, 0, 1], draw('jitterY', t));
      const frame = pixels.slice(t * size, (t + 1) * size);
      for (let y = 0; y < side; y++) {
        for (let x = 0; x < side; x++) {
          const from = (clampIndex(y + dy, side) * side + clampIndex(x + dx, side)) * 3;
          for (let c = 0; c < 3; c++) pixels[t * size + (y * side + x) * 3 + c] = frame[from + c]!;
        }
      }
    }
  },
  /** The first frame all the time. */
  frozen({preset: {frames}, pixels}) {
    const size = pixels.length / frames;
    for (let t = 1; t < frames; t++) pixels.copyWithin(t * size, 0, size);
  },
  vanishing: (clip) => vanish(clip, 0.25 + 0.5 * clip.draw('vanishing')),
  /** A gain of its own for every colour channel. */
  cast({pixels, draw}) {
    const gains = [0, 1, 2].map((c) => 0.7 + 0.6 * draw('cast', c));
    for (let i = 0; i < pixels.length; i++) pixels[i] = toByte(gains[i % 3] * pixels[i]);
  },
};

/** Spoils the pixels of a clip in place, in one of the ways. */
export const corrupt = (preset: Preset, spec: ClipSpec, pixels: Uint8Array, flaw: Flaw, draw: Draw): void =>
  spoil[flaw]({preset, spec, pixels, draw});

/** Shares of captions with a colour left out, a wrong colour, and a wrong motion. */
const captionNoise = {omission: 0.05, color: 0.015, motion: 0.015};

/**
 * What a careless annotator writes: sometimes one attribute of one object is missing or wrong. Held-out compositions are not
 * even named by mistake.
 */
export function misreport(preset: Preset, facts: Facts, draw: Draw): Facts {
  const target = Math.floor(draw('misreported') * facts.objects.length);
  const change = (edit: (object: ObjectFacts) => ObjectFacts): Facts => ({
    ...facts,
    objects: facts.objects.map((object, i) => (i === target ? edit(object) : object)),
  });
  const choose = <T>(values: readonly T[], otherwise: T): T =>
    values.length === 0 ? otherwise : pick(values, draw('misreport'));
  let u = draw('captionNoise');
  if (u < captionNoise.omission) return change((object) => ({...object, color: null}));
  u -= captionNoise.omission;
  if (u < captionNoise.color) {
    return change((object) => ({
      ...object,
      color: choose<Color | null>(
        preset.colors.filter((c) => c !== object.color && !isColorHeldOut(object.noun, c)),
        object.color,
      ),
    }));
  }
  u -= captionNoise.color;
  if (u < captionNoise.motion) {
    return change((object) => ({
      ...object,
      motion:
        object.motion === null
          ? null
          : choose<Motion>(
              preset.motions.filter((m) => m !== object.motion && !isMotionHeldOut(object.noun, m)),
              object.motion,
            ),
    }));
  }
  return facts;
}
