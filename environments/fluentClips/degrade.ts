/** Clips spoilt by degrees: what a reward that sees quality must rank as the judge does. */
import {blur, flicker, noise, vanish, type Clip} from './corrupt.js';
import {drawsFor} from './draws.js';
import {render} from './render.js';
import {promptSpec, specOf} from './streams.js';
import type {Preset} from './spec.js';

/** Strengths of each degradation, weakest first: σ of white, σ in pixels, deviation of the gain, share of frames, share of another clip. */
const grades = {
  noise: [0.03, 0.06, 0.1, 0.15],
  blur: [0.5, 0.8, 1.2, 1.8],
  flicker: [0.04, 0.07, 0.11, 0.18],
  vanishing: [0.875, 0.75, 0.5, 0.25],
  ghost: [0.1, 0.2, 0.35, 0.5],
} as const;

/** A way to spoil a clip by degrees. */
export type Degradation = keyof typeof grades;

const apply: Readonly<Record<Degradation, (clip: Clip, strength: number, other: () => Uint8Array) => void>> = {
  noise,
  blur,
  flicker,
  vanishing: vanish,
  /** Another clip shines through. */
  ghost({pixels}, share, other) {
    const through = other();
    for (let i = 0; i < pixels.length; i++) pixels[i] = Math.round((1 - share) * pixels[i] + share * through[i]);
  },
};

/** Names of the variants of a clip, the clean one first. */
export const degradations: readonly string[] = [
  'clean',
  ...Object.entries(grades).flatMap(([kind, strengths]) => strengths.map((strength) => `${kind} ${strength}`)),
];

/** The clip of held-out prompt `index` in all variants, one after the other, and its caption. */
export function degradedOf(preset: Preset, index: number): {text: string; pixels: Uint8Array} {
  const {spec, text} = promptSpec(preset, 'heldOut', index);
  const clean = render(preset, spec);
  const pixels = new Uint8Array(degradations.length * clean.length);
  pixels.set(clean);
  let variant = 1;
  for (const [kind, strengths] of Object.entries(grades) as [Degradation, readonly number[]][]) {
    for (const strength of strengths) {
      const copy = clean.slice();
      const draw = drawsFor(`degraded/${kind}`, index);
      apply[kind]({preset, spec, pixels: copy, draw}, strength, () => render(preset, specOf(preset, 'curated', index).spec));
      pixels.set(copy, variant++ * clean.length);
    }
  }
  return {text, pixels};
}
