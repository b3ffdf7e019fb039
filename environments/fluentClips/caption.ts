/**
 * Captions: a small grammar with paraphrases, its vocabulary, and the way back from a caption to the facts it promises.
 *
 *     CAPTION = THING [MOTION] [("and" | RELATION) THING [MOTION]] [SCENE]
 *     THING   = ("a" | "an") [COLOUR] NOUN
 */
import {ConfigError, ndarray, type NdArray} from '../../src/plugin.js';
import {pick, type Draw} from './draws.js';
import type {Flaw} from './corrupt.js';
import {
  colors,
  nouns,
  type ClipSpec,
  type Color,
  type Motion,
  type Noun,
  type ObjectSpec,
  type Preset,
  type Relation,
  type Scene,
} from './spec.js';

const motionPhrases: Readonly<Record<Motion, readonly string[]>> = {
  still: ['standing still', 'frozen in time'],
  left: ['moving left', 'heading to the left'],
  right: ['moving right', 'heading to the right'],
  up: ['moving up', 'rising'],
  down: ['moving down', 'falling'],
  grow: ['growing', 'getting bigger'],
};

const scenePhrases: Readonly<Record<Scene, readonly string[]>> = {
  ocean: ['in the ocean', 'at sea'],
  grass: ['on the grass', 'in a green field'],
  desert: ['in the desert', 'on the sand'],
  night: ['at night', 'under the stars'],
};

const relationPhrases: Readonly<Record<Relation, string>> = {
  'left of': 'on the left of',
  'right of': 'on the right of',
  above: 'above',
  below: 'below',
};

/**
 * What a caption that an encoder learns from says of a spoilt clip, as people do who describe what they see. Prompts have no such
 * words. A clip that stands still is not called spoilt: it looks like one whose object stands still.
 */
export const flawWords = {
  blur: 'blurry',
  noise: 'noisy',
  flicker: 'flickering',
  jitter: 'shaky',
  vanishing: 'vanishing',
  cast: 'tinted',
} as const satisfies Partial<Record<Flaw, string>>;

/** A flaw that has a word. */
export type NamedFlaw = keyof typeof flawWords;
/** All of them. */
export const namedFlaws = Object.keys(flawWords) as readonly NamedFlaw[];

/** What a caption says of one object; `null` is what it leaves open. */
export interface ObjectFacts {
  readonly noun: Noun;
  readonly color: Color | null;
  readonly motion: Motion | null;
}

/** What a caption promises, and nothing else: the judge scores these. */
export interface Facts {
  readonly objects: readonly ObjectFacts[];
  /** Where the first object is, seen from the second. */
  readonly relation: Relation | null;
  readonly scene: Scene | null;
}

/** The object with its article. */
const thing = ({noun, color}: Pick<ObjectFacts, 'noun' | 'color'>): string => {
  const words = color === null ? noun : `${color} ${noun}`;
  return `${/^[aeiou]/.test(words) ? 'an' : 'a'} ${words}`;
};

/**
 * Writes facts as a caption; `draw` picks the paraphrases.
 */
export function phrase(facts: Facts, draw: Draw): string {
  const {objects, relation, scene} = facts;
  const words = objects.map((object, i) => {
    const motion = object.motion === null ? '' : ` ${pick(motionPhrases[object.motion], draw('motionPhrase', i))}`;
    return thing(object) + motion;
  });
  const subject = words.join(relation === null ? ' and ' : ` ${relationPhrases[relation]} `);
  return scene === null ? subject : `${subject} ${pick(scenePhrases[scene], draw('scenePhrase'))}`;
}

/** What captions of two objects say of them: shares of the captions. The others say neither. */
export interface PairCaptions {
  readonly motions: number;
  readonly relation: number;
}

/** Of prompts, and of every stream that says nothing else. */
export const usualPairCaptions: PairCaptions = {motions: 0.4, relation: 0.4};

/** What the caption of a clip of two objects says of them. */
export function saidOfPair(draw: Draw, {motions, relation}: PairCaptions): 'motions' | 'relation' | 'neither' {
  const kind = draw('captionKind');
  if (kind < motions) return 'motions';
  return kind < motions + relation ? 'relation' : 'neither';
}

/**
 * What a caption of a clip will say: all of one object; of two, their motions, their relation or neither. It leaves things out and
 * never lies.
 */
export function promise(spec: ClipSpec, draw: Draw, captions = usualPairCaptions): Facts {
  const said = spec.objects.length > 1 ? saidOfPair(draw, captions) : 'motions';
  const object = ({noun, color, motion}: ObjectSpec): ObjectFacts => ({noun, color, motion: said === 'motions' ? motion : null});
  return {objects: spec.objects.map(object), relation: said === 'relation' ? spec.relation : null, scene: spec.scene};
}

/** The caption of a clip. */
export const caption = (spec: ClipSpec, draw: Draw): string => phrase(promise(spec, draw), draw);

/** Words of a preset; the index is the token id and 0 is padding. */
export function vocabularyOf(preset: Preset): readonly string[] {
  const articles = preset.nouns.includes('umbrella') ? ['a', 'an'] : ['a'];
  const phrases: string[] = [...articles, 'and', ...preset.colors, ...preset.nouns];
  for (const motion of preset.motions) phrases.push(...motionPhrases[motion]);
  if (preset.pairShare > 0) phrases.push(...Object.values(relationPhrases));
  for (const scene of preset.scenes) phrases.push(...scenePhrases[scene]);
  return ['', ...new Set(phrases.flatMap((p) => p.split(' ')))];
}

const split = (text: string): string[] =>
  text
    .trim()
    .toLowerCase()
    .replaceAll(',', ' ')
    .split(/\s+/)
    .filter((w) => w !== '');

/** Words of an encoder: the preset's, and those of flaws. */
export const encoderVocabularyOf = (preset: Preset): readonly string[] => [...vocabularyOf(preset), ...Object.values(flawWords)];

/** Makes the tokenizer of a preset: captions to `[B, textLength]` int32, 0 = padding. */
export function tokenizerOf(preset: Preset, vocabulary = vocabularyOf(preset)): (texts: readonly string[]) => NdArray<'int32'> {
  const ids = new Map(vocabulary.map((word, id) => [word, id]));
  return (texts) => {
    const length = preset.textLength;
    const data = new Int32Array(texts.length * length);
    texts.forEach((text, row) => {
      const words = split(text);
      if (words.length > length) {
        throw new ConfigError(`prompt '${text}': wanted at most ${length} words; got ${words.length}; shorten it.`);
      }
      words.forEach((word, i) => {
        const id = ids.get(word);
        if (id === undefined) {
          throw new ConfigError(
            `prompt '${text}': '${word}' is not a word of fluentClips ${preset.name}; use ${[...ids.keys()].slice(1).join(', ')}.`,
          );
        }
        data[row * length + i] = id;
      });
    });
    return ndarray('int32', [texts.length, length], data);
  };
}

/** A table of words that stand for themselves. */
const literal = <T extends string>(values: readonly T[]): Readonly<Record<T, readonly string[]>> =>
  Object.fromEntries(values.map((v) => [v, [v]])) as unknown as Record<T, readonly string[]>;

const nounTable = literal(nouns);
const colorTable = literal(colors);
const relationTable = Object.fromEntries(Object.entries(relationPhrases).map(([r, p]) => [r, [p]])) as unknown as Readonly<
  Record<Relation, readonly string[]>
>;

/**
 * The facts that a caption of the grammar promises.
 *
 * @throws ConfigError at the first word that the grammar cannot place.
 */
export function factsOf(text: string): Facts {
  const words = split(text);
  let at = 0;
  /** Consumes one of the phrases, if it comes next, and returns its meaning. */
  const accept = <T extends string>(table: Readonly<Partial<Record<T, readonly string[]>>>): T | null => {
    for (const [meaning, phrases] of Object.entries(table) as [T, readonly string[]][]) {
      for (const candidate of phrases) {
        const wanted = candidate.split(' ');
        if (wanted.every((w, i) => words[at + i] === w)) {
          at += wanted.length;
          return meaning;
        }
      }
    }
    return null;
  };
  const fail = (wanted: string): never => {
    const got = at < words.length ? `'${words.slice(at).join(' ')}'` : 'the end';
    throw new ConfigError(`prompt '${text}': wanted ${wanted}; got ${got}; write it like 'a red car moving left on the grass'.`);
  };
  const object = (): ObjectFacts => {
    if (accept({article: ['a', 'an']}) === null) fail(`'a'`);
    const color = accept(colorTable);
    const noun = accept(nounTable) ?? fail('a noun');
    return {noun, color, motion: accept(motionPhrases)};
  };
  const objects = [object()];
  const relation = accept(relationTable);
  if (relation !== null || accept({and: ['and']}) !== null) objects.push(object());
  if (objects[1]?.noun === objects[0].noun) {
    throw new ConfigError(`prompt '${text}': wanted two different nouns; got ${objects[0].noun} twice; change one.`);
  }
  const scene = accept(scenePhrases);
  if (at < words.length) fail('a scene, a motion or the end');
  return {objects, relation, scene};
}
