/** Draws clip specifications. */
import {pick, pickZipf, type Draw} from './draws.js';
import type {ClipSpec, Motion, ObjectSpec, Preset, Relation, Scene} from './spec.js';
import {offsets, variants} from './backdrop.js';

/** How often each value of an attribute comes: with a Zipf tail, or all alike. */
export type Frequencies = 'zipf' | 'uniform';

const coloredShare = 0.8;

/** Shared axis of two objects and the sign of the first one's place on it. */
const layouts: Readonly<Record<Relation, {axis: 'x' | 'y'; side: -1 | 1}>> = {
  'left of': {axis: 'x', side: -1},
  'right of': {axis: 'x', side: 1},
  above: {axis: 'y', side: -1},
  below: {axis: 'y', side: 1},
};

const axisOf: Partial<Record<Motion, 'x' | 'y'>> = {left: 'x', right: 'x', up: 'y', down: 'y'};

/**
 * One clip of a preset, of one object or of two.
 *
 * What could not be seen never comes: white at night (it looks like the lamps), a cat of natural colour in the desert.
 */
export function sampleSpec(preset: Preset, draw: Draw, frequencies: Frequencies, two: boolean): ClipSpec {
  const choose = <T>(values: readonly T[], name: string, counter = 0): T =>
    (frequencies === 'zipf' ? pickZipf : pick)(values, draw(name, counter));
  const between = (low: number, high: number, name: string, counter = 0): number => low + (high - low) * draw(name, counter);

  const scene: Scene = choose(preset.scenes, 'scene');
  const allowed = scene === 'night' ? preset.colors.filter((c) => c !== 'white') : preset.colors;
  const first = choose(preset.nouns, 'noun');
  const others = preset.nouns.filter((n) => n !== first);
  const relation: Relation | null = two
    ? pick<Relation>(draw('horizontal') < 0.6 ? ['left of', 'right of'] : ['above', 'below'], draw('relation'))
    : null;
  const gap = between(0.24, 0.29, 'gap');
  const middle = {x: between(0.48, 0.52, 'middle', 0), y: between(0.47, 0.53, 'middle', 1)};

  const object = (i: 0 | 1): ObjectSpec => {
    const noun = i === 0 ? first : choose(others, 'noun', 1);
    const colored = draw('colored', i) < coloredShare || (noun === 'cat' && scene === 'desert');
    const motion = choose(preset.motions, 'motion', i);
    const place = {x: between(0.36, 0.64, 'place', 0), y: between(0.36, 0.64, 'place', 1)};
    let travel = between(8.4, 11.9, 'travel', i) / 32;
    if (relation !== null) {
      const {axis, side} = layouts[relation];
      const across = axis === 'x' ? 'y' : 'x';
      place[axis] = middle[axis] + (i === 0 ? side : -side) * gap;
      place[across] = middle[across] + between(-0.08, 0.08, 'across', i);
      // Two objects that move along the line that joins them would meet or leave.
      if (axisOf[motion] === axis) travel *= 0.6;
    }
    return {
      noun,
      color: colored ? choose(allowed, 'color', i) : null,
      motion,
      ...place,
      size: (two ? between(10.5, 12.5, 'size', i) : between(13, 17, 'size', i)) / 32,
      travel,
    };
  };

  return {
    scene,
    variant: Math.floor(variants * draw('variant')),
    offset: Math.floor(offsets * draw('offset')),
    brightness: between(0.92, 1.04, 'brightness'),
    objects: two ? [object(0), object(1)] : [object(0)],
    relation,
  };
}

/** Where an object is at frame `t`: centre and size in fractions of the frame. */
export function placeAt(object: ObjectSpec, t: number, frames: number): {x: number; y: number; size: number} {
  const progress = t / (frames - 1) - 0.5;
  const step = object.travel * progress;
  const {x, y, size, motion} = object;
  switch (motion) {
    case 'left':
      return {x: x - step, y, size};
    case 'right':
      return {x: x + step, y, size};
    case 'up':
      return {x, y: y - step, size};
    case 'down':
      return {x, y: y + step, size};
    case 'grow':
      return {x, y, size: size * 1.9 ** progress};
    case 'still':
      return {x, y, size};
  }
}
