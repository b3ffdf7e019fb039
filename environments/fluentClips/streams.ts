/**
 * The streams of clips and prompts. A stream is a name and an index: item `i` is the same in every run, on every thread. No
 * two streams share a draw, and only `heldOutCompositional` shows held-out compositions.
 */
import {drawsFor, pick, uniformOf, type Draw} from './draws.js';
import {
  caption,
  factsOf,
  flawWords,
  namedFlaws,
  phrase,
  promise,
  usualPairCaptions,
  type Facts,
  type NamedFlaw,
  type PairCaptions,
} from './caption.js';
import {corrupt, flaws, misreport, type Flaw} from './corrupt.js';
import {isClipHeldOut, isColorHeldOut, isMotionHeldOut, isPairHeldOut} from './splits.js';
import {render} from './render.js';
import {sampleSpec, type Frequencies} from './sample.js';
import type {ClipSpec, Preset} from './spec.js';
import {ConfigError, type Prompt} from '../../src/plugin.js';

/** Name of a stream of clips. */
export type ClipStream = 'train' | 'validation' | 'curated' | 'pairs' | 'hardPairs';

/** A stream that an encoder learns from. */
export type PairStream = 'pairs' | 'hardPairs';

/** Whether an encoder learns from the stream. */
export const isPairStream = (stream: ClipStream): stream is PairStream => stream === 'pairs' || stream === 'hardPairs';

/** How the clips of a stream are made. */
interface StreamKind {
  readonly frequencies: Frequencies;
  /** Share of spoilt clips. */
  readonly flawShare: number;
  /** Whether captions name the flaw; only flaws that have a name come then. */
  readonly flawsNamed: boolean;
  readonly captionNoise: boolean;
  /** Share of clips of two objects. Default: the preset's. */
  readonly pairShare?: number;
  /** What captions of two objects say. Default: the usual. */
  readonly pairCaptions?: PairCaptions;
}

/** What both streams of pairs have. */
const pairs = {frequencies: 'zipf', flawShare: 0.3, flawsNamed: true, captionNoise: true} as const;

/**
 * Streams of captioned clips: `train` is the policy's pre-training data with its web-like flaws, `validation` the same
 * without them, `curated` clean and uniform (real videos for a quality reward), `pairs` what an encoder learns from: there
 * captions say what is wrong with a clip, or the encoder would learn not to see it, and two in five name a relation. In
 * `hardPairs` nearly all do: encoders learnt everything else beside other things, but relations only where little else was asked
 * (docs/encoders.md).
 */
export const clipStreams: Readonly<Record<ClipStream, StreamKind>> = {
  train: {frequencies: 'zipf', flawShare: 0.25, flawsNamed: false, captionNoise: true},
  validation: {frequencies: 'zipf', flawShare: 0, flawsNamed: false, captionNoise: false},
  curated: {frequencies: 'uniform', flawShare: 0, flawsNamed: false, captionNoise: false},
  pairs: {...pairs, pairShare: 0.6, pairCaptions: {motions: 0.2, relation: 0.7}},
  hardPairs: {...pairs, pairShare: 1, pairCaptions: {motions: 0.03, relation: 0.94}},
};

/** Splits of prompts. */
export const promptSplits = ['train', 'heldOut', 'heldOutCompositional'] as const;
/** Name of a split of prompts. */
export type PromptSplit = (typeof promptSplits)[number];

/**
 * The first specification of item `index` that suits; each attempt has draws of its own. How many objects there are is drawn
 * once: clips of two are refused more often, and would become rare.
 */
export function specWhere(
  preset: Preset,
  stream: string,
  index: number,
  frequencies: Frequencies,
  suits: (spec: ClipSpec, draw: Draw) => boolean,
  two = drawsFor(stream, index)('pair') < preset.pairShare,
): {spec: ClipSpec; draw: Draw} {
  for (let attempt = 0; ; attempt++) {
    const draw = drawsFor(`${stream}#${attempt}`, index);
    const spec = sampleSpec(preset, draw, frequencies, two);
    if (suits(spec, draw)) return {spec, draw};
  }
}

/** What clip `index` of a stream shows, and its draws. */
export function specOf(preset: Preset, stream: ClipStream, index: number): {spec: ClipSpec; draw: Draw} {
  const {frequencies, pairShare = preset.pairShare} = clipStreams[stream];
  const name = `clips/${stream}`;
  const share = preset.pairShare > 0 ? pairShare : 0;
  return specWhere(preset, name, index, frequencies, (spec) => !isClipHeldOut(spec), drawsFor(name, index)('pair') < share);
}

/** What is wrong with a clip of a stream, if anything. */
export function flawOf(stream: ClipStream, draw: Draw): Flaw | null {
  const {flawShare, flawsNamed} = clipStreams[stream];
  return draw('flawed') < flawShare ? pick<Flaw>(flawsNamed ? namedFlaws : flaws, draw('flaw')) : null;
}

/** What a caption of the stream says is wrong with its clip, if it says so. */
export const namedFlawOf = (stream: ClipStream, draw: Draw): NamedFlaw | null =>
  clipStreams[stream].flawsNamed ? (flawOf(stream, draw) as NamedFlaw | null) : null;

/** A caption that names a flaw; as it is without one. */
export const withFlaw = (text: string, flaw: NamedFlaw | null): string => (flaw === null ? text : `${text} ${flawWords[flaw]}`);

/** What captions of two objects say in a stream. */
export const pairCaptionsOf = (stream: ClipStream): PairCaptions => clipStreams[stream].pairCaptions ?? usualPairCaptions;

/** The caption of a clip, with the mistakes of its stream. */
function captionOf(preset: Preset, stream: ClipStream, spec: ClipSpec, draw: Draw): string {
  const facts = promise(spec, draw, pairCaptionsOf(stream));
  const text = phrase(clipStreams[stream].captionNoise ? misreport(preset, facts, draw) : facts, draw);
  return withFlaw(text, namedFlawOf(stream, draw));
}

/** The caption of clip `index` of a stream. */
export function textOf(preset: Preset, stream: ClipStream, index: number): string {
  const {spec, draw} = specOf(preset, stream, index);
  return captionOf(preset, stream, spec, draw);
}

/** One captioned clip of a stream. */
export interface CaptionedClip {
  readonly text: string;
  /** `[F, H, W, 3]`; of a still only its two frames. */
  readonly pixels: Uint8Array;
}

/** Frames of a still: one temporal patch of the policy. */
export const stillFrames = 2;

/**
 * Clip `index` of a stream.
 *
 * @param still only one random pair of frames, starting at an even one.
 */
export function clipOf(preset: Preset, stream: ClipStream, index: number, still: boolean): CaptionedClip {
  const {spec, draw} = specOf(preset, stream, index);
  const pixels = render(preset, spec);
  const flaw = flawOf(stream, draw);
  if (flaw !== null) corrupt(preset, spec, pixels, flaw, draw);
  const text = captionOf(preset, stream, spec, draw);
  if (!still) return {text, pixels};
  const size = (pixels.length / preset.frames) * stillFrames;
  const at = Math.floor((draw('still') * preset.frames) / stillFrames) * size;
  return {text, pixels: pixels.slice(at, at + size)};
}

/** Whether a caption names a held-out composition. */
export const isFactHeldOut = ({objects}: Facts): boolean => {
  const [a, b] = objects;
  return (
    objects.some(
      (o) => (o.color !== null && isColorHeldOut(o.noun, o.color)) || (o.motion !== null && isMotionHeldOut(o.noun, o.motion)),
    ) ||
    (a !== undefined && b !== undefined && isPairHeldOut(a.noun, b.noun))
  );
};

/** Share of the captions that are kept from `train` prompts for `heldOut` ones. */
const heldOutTexts = 0.25;
const isTextHeldOut = (text: string): boolean => uniformOf(`text/${text}`) < heldOutTexts;

/** The clip that prompt `index` of a split was written for. */
export function promptSpec(preset: Preset, split: PromptSplit, index: number): {spec: ClipSpec; text: string} {
  const suits = (spec: ClipSpec, draw: Draw): boolean => {
    if (split === 'heldOutCompositional') return isFactHeldOut(promise(spec, draw));
    return !isClipHeldOut(spec) && isTextHeldOut(caption(spec, draw)) === (split === 'heldOut');
  };
  const {spec, draw} = specWhere(preset, `prompts/${split}`, index, 'uniform', suits);
  return {spec, text: caption(spec, draw)};
}

/** Prompt `index` of a split. All attributes are equally likely: the rare ones of pre-training are where there is most to learn. */
export function promptOf(preset: Preset, split: PromptSplit, index: number): Prompt {
  const {text} = promptSpec(preset, split, index);
  return {id: `${split}-${index}`, text, truth: factsOf(text) satisfies Facts};
}

/**
 * The first `count` prompts of a split; the same ones every time.
 *
 * @throws ConfigError listing the splits, if there is none of that name.
 */
export function promptsOf(preset: Preset, split: string, count: number): readonly Prompt[] {
  const known = promptSplits.find((s) => s === split);
  if (known === undefined) {
    throw new ConfigError(`fluentClips: a split is one of ${promptSplits.join(', ')}; got '${split}'; pick one of these.`);
  }
  return Array.from({length: count}, (_, i) => promptOf(preset, known, i));
}
