/**
 * What can be in a clip, and the sizes the world comes in. The order of each list is its rank in the Zipf frequencies.
 * Lengths are fractions of the frame's side, so that a specification means the same at every size.
 */
import {ConfigError} from '../../src/plugin.js';

/** What an object can be. */
export const nouns = ['cat', 'car', 'bird', 'fish', 'star', 'umbrella'] as const;
/** Colour words. */
export const colors = ['red', 'blue', 'yellow', 'green', 'purple', 'white'] as const;
/** Where a clip plays. */
export const scenes = ['grass', 'ocean', 'desert', 'night'] as const;
/** What an object can do. */
export const motions = ['right', 'left', 'still', 'up', 'grow', 'down'] as const;
/** Where the first of two objects can be, seen from the second. */
export const relations = ['left of', 'right of', 'above', 'below'] as const;

/** One of the nouns. */
export type Noun = (typeof nouns)[number];
/** One of the colour words. */
export type Color = (typeof colors)[number];
/** One of the scenes. */
export type Scene = (typeof scenes)[number];
/** One of the motions. */
export type Motion = (typeof motions)[number];
/** One of the relations. */
export type Relation = (typeof relations)[number];

/** Red, green and blue in [0, 1]. */
export type Rgb = readonly [number, number, number];

/** The paint of each colour word. */
export const colorValues: Readonly<Record<Color, Rgb>> = {
  red: [0.92, 0.16, 0.18],
  blue: [0.16, 0.42, 0.95],
  yellow: [0.98, 0.86, 0.18],
  green: [0.16, 0.7, 0.26],
  purple: [0.56, 0.26, 0.82],
  white: [0.97, 0.97, 0.97],
};

/** One object of a clip. */
export interface ObjectSpec {
  readonly noun: Noun;
  /** `null` is the natural colour of the noun. */
  readonly color: Color | null;
  readonly motion: Motion;
  /** Centre at the middle of the clip. */
  readonly x: number;
  readonly y: number;
  /** Longest side of the drawn shape at the middle of the clip. */
  readonly size: number;
  /** Path length over the whole clip, if it moves. */
  readonly travel: number;
}

/** Everything there is to know about a clip. */
export interface ClipSpec {
  readonly scene: Scene;
  /** Which of the two looks of the scene. */
  readonly variant: number;
  /** Horizontal shift of the scene, 0 to 15 in 1/32 of the frame. */
  readonly offset: number;
  /** Gain of the whole picture, .92 to 1.04. */
  readonly brightness: number;
  readonly objects: readonly ObjectSpec[];
  /** Where the first of two objects is, seen from the second. */
  readonly relation: Relation | null;
}

/** One size of the world with the words it uses. */
export interface Preset {
  readonly name: string;
  /** Side of the square frame in pixels. */
  readonly side: number;
  readonly frames: number;
  /** Longest caption in tokens. */
  readonly textLength: number;
  readonly nouns: readonly Noun[];
  readonly colors: readonly Color[];
  readonly scenes: readonly Scene[];
  readonly motions: readonly Motion[];
  /** Share of the clips that show two objects. */
  readonly pairShare: number;
}

/** The sizes of the world: `nano` for tests, `mini` for a laptop. */
export const presets = {
  nano: {
    name: 'nano',
    side: 16,
    frames: 4,
    textLength: 12,
    nouns: ['cat', 'car', 'star'],
    colors: ['red', 'blue', 'yellow'],
    scenes: ['grass', 'night'],
    motions: ['right', 'left', 'still'],
    pairShare: 0,
  },
  mini: {name: 'mini', side: 24, frames: 8, textLength: 20, nouns, colors, scenes, motions, pairShare: 1 / 3},
} as const satisfies Record<string, Preset>;

/**
 * The preset of a name.
 *
 * @throws ConfigError listing the known names.
 */
export function presetNamed(name: string): Preset {
  if (Object.hasOwn(presets, name)) return presets[name as keyof typeof presets];
  throw new ConfigError(`fluentClips: a preset is one of ${Object.keys(presets).join(', ')}; got '${name}'; pick one of these.`);
}
