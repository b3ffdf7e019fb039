/** What the world offers to examine encoders with. */
import {ndarray, type EncoderProbes} from '../../src/plugin.js';
import {factsOf} from './caption.js';
import {counterfactualOf, kindsOf} from './counterfactuals.js';
import {degradations, degradedOf} from './degrade.js';
import {render} from './render.js';
import type {Preset} from './spec.js';

/** What a caption says, by attribute; of two objects both values, in the order of the alphabet. */
export function attributesOf(caption: string): Readonly<Record<string, string>> {
  const {objects, scene} = factsOf(caption);
  const both = (values: readonly (string | null)[]): string | null =>
    values.includes(null) ? null : [...values].sort().join(' and ');
  const said = {
    noun: both(objects.map(({noun}) => noun)),
    color: both(objects.map(({color}) => color)),
    motion: both(objects.map(({motion}) => motion)),
    scene,
  };
  return Object.fromEntries(Object.entries(said).filter((entry): entry is [string, string] => entry[1] !== null));
}

/** The probes of a preset. */
export function probesOf(preset: Preset): EncoderProbes {
  const shape = [preset.frames, preset.side, preset.side, 3];
  const size = preset.frames * preset.side ** 2 * 3;
  return {
    kinds: kindsOf(preset),
    counterfactuals(indices) {
      const items = indices.map((index) => counterfactualOf(preset, index));
      const pixels = new Uint8Array(items.length * size);
      items.forEach(({spec}, i) => render(preset, spec, pixels.subarray(i * size, (i + 1) * size)));
      return {
        videos: ndarray('uint8', [items.length, ...shape], pixels),
        texts: items.map((item) => item.text),
        wrong: items.map((item) => item.wrong),
        kinds: items.map((item) => item.kind),
      };
    },
    attributesOf,
    variants: degradations,
    degraded(indices) {
      const items = indices.map((index) => degradedOf(preset, index));
      const pixels = new Uint8Array(items.length * degradations.length * size);
      items.forEach((item, i) => pixels.set(item.pixels, i * item.pixels.length));
      return {
        videos: ndarray('uint8', [items.length * degradations.length, ...shape], pixels),
        texts: items.map((item) => item.text),
      };
    },
  };
}
