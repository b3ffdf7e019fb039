/**
 * Clips with a caption that is true and one that is wrong in a single respect: what a matching reward has to tell apart. Neither
 * caption gives itself away: both are captions that a stream might have written, of compositions that are seen in training.
 */
import {
  namedFlaws,
  phrase,
  promise,
  saidOfPair,
  usualPairCaptions,
  type Facts,
  type ObjectFacts,
  type PairCaptions,
} from './caption.js';
import {pick, type Draw} from './draws.js';
import {relations, type ClipSpec, type Preset, type Relation} from './spec.js';
import {isFactHeldOut, namedFlawOf, pairCaptionsOf, specOf, specWhere, withFlaw, type PairStream} from './streams.js';

/** What can be wrong with a caption. */
export const counterfactualKinds = ['noun', 'color', 'motion', 'relation', 'count'] as const;
/** One of them. */
export type CounterfactualKind = (typeof counterfactualKinds)[number];

/** A clip, its caption, and a wrong one. */
export interface Counterfactual {
  readonly kind: CounterfactualKind;
  readonly spec: ClipSpec;
  readonly text: string;
  readonly wrong: string;
}

/** The kinds that a preset has: without clips of two objects there are no relations and nothing to count. */
export const kindsOf = (preset: Preset): readonly CounterfactualKind[] =>
  preset.pairShare > 0 ? counterfactualKinds : ['noun', 'color', 'motion'];

const opposite: Readonly<Record<Relation, Relation>> = {
  'left of': 'right of',
  'right of': 'left of',
  above: 'below',
  below: 'above',
};

/** Whether there are clips that a caption is true of; the exceptions are those of `sampleSpec` and of the splits. */
const isShown = (facts: Facts): boolean =>
  !isFactHeldOut(facts) &&
  !facts.objects.some(
    ({noun, color}) =>
      (facts.scene === 'night' && color === 'white') || (facts.scene === 'desert' && noun === 'cat' && color === null),
  );

/**
 * The captions that differ from a true one in this respect, in an order that says nothing.
 *
 * @param captions what captions of two objects say in the stream of the clip.
 */
function alternatives(
  preset: Preset,
  kind: CounterfactualKind,
  spec: ClipSpec,
  facts: Facts,
  draw: Draw,
  captions = usualPairCaptions,
): readonly Facts[] {
  const {objects, relation} = facts;
  const target = Math.floor(draw('counterfactualObject') * objects.length);
  const change = (edited: Partial<ObjectFacts>): Facts => ({
    ...facts,
    objects: objects.map((object, i) => (i === target ? {...object, ...edited} : object)),
  });
  const {color, motion} = objects[target];
  switch (kind) {
    case 'noun':
      return preset.nouns.filter((noun) => objects.every((o) => o.noun !== noun)).map((noun) => change({noun}));
    case 'color':
      return color === null ? [] : preset.colors.filter((c) => c !== color).map((c) => change({color: c}));
    case 'motion':
      return motion === null ? [] : preset.motions.filter((m) => m !== motion).map((m) => change({motion: m}));
    case 'relation':
      return relation === null ? [] : [{...facts, relation: opposite[relation]}];
    case 'count':
      // A caption of one object says everything of it.
      if (objects.length > 1) {
        return [{...facts, relation: null, objects: [{...objects[target], motion: spec.objects[target].motion}]}];
      }
      return preset.nouns
        .filter((noun) => noun !== objects[0].noun)
        .map((noun) => withAnother(preset, facts, noun, draw, captions));
  }
}

/** The caption of a clip of two objects, of which the first is the one of `facts`. */
function withAnother(preset: Preset, facts: Facts, noun: ObjectFacts['noun'], draw: Draw, captions: PairCaptions): Facts {
  const said = saidOfPair(draw, captions);
  const other: ObjectFacts = {
    noun,
    color: draw('otherColored') < 0.8 ? pick(preset.colors, draw('otherColor')) : null,
    motion: pick(preset.motions, draw('otherMotion')),
  };
  const both = [facts.objects[0], other];
  if (said === 'motions') return {...facts, objects: both};
  const still = both.map((object) => ({...object, motion: null}));
  return {...facts, objects: still, relation: said === 'relation' ? pick(relations, draw('otherRelation')) : null};
}

/** Item `index`; the kinds take turns, and of the counts every other clip has two objects. */
export function counterfactualOf(preset: Preset, index: number): Counterfactual {
  const kinds = kindsOf(preset);
  const kind = kinds[index % kinds.length];
  const wrongOnes = (spec: ClipSpec, draw: Draw): readonly Facts[] =>
    alternatives(preset, kind, spec, promise(spec, draw), draw).filter(isShown);
  const two = {relation: true, count: Math.floor(index / kinds.length) % 2 === 1};
  const {spec, draw} = specWhere(
    preset,
    `counterfactuals/${kind}`,
    index,
    'uniform',
    (candidate, its) => isShown(promise(candidate, its)) && wrongOnes(candidate, its).length > 0,
    kind === 'relation' || kind === 'count' ? two[kind] : undefined,
  );
  const wrong = pick(wrongOnes(spec, draw), draw('counterfactual'));
  return {kind, spec, text: phrase(promise(spec, draw), draw), wrong: phrase(wrong, draw)};
}

/**
 * How often each kind is chosen among those that a clip allows: few clips have a relation, few are spoilt, and motions are learnt
 * last.
 */
const weights: Readonly<Record<CounterfactualKind | 'flaw' | 'noFlaw', number>> = {
  noun: 1,
  color: 1,
  motion: 3,
  relation: 60,
  count: 1,
  flaw: 2,
  noFlaw: 6,
};

/**
 * A caption that is wrong in a single respect of clip `index` of a stream that encoders learn from: in one of the kinds, or in
 * what it says of a flaw.
 */
export function wrongCaptionOf(preset: Preset, stream: PairStream, index: number): string {
  const {spec, draw} = specOf(preset, stream, index);
  const said = pairCaptionsOf(stream);
  const facts = promise(spec, draw, said);
  const flaw = namedFlawOf(stream, draw);
  const wrongFlaw = flaw === null ? pick(namedFlaws, draw('wrongFlaw')) : null;
  const possible = [
    {weight: flaw === null ? weights.flaw : weights.noFlaw, captions: [{facts, flaw: wrongFlaw}]},
    ...kindsOf(preset).map((kind) => ({
      weight: weights[kind],
      captions: alternatives(preset, kind, spec, facts, draw, said)
        .filter(isShown)
        .map((wrong) => ({facts: wrong, flaw})),
    })),
  ].filter(({captions}) => captions.length > 0);
  let left = draw('wrongKind') * possible.reduce((sum, {weight}) => sum + weight, 0);
  const {captions} = possible.find(({weight}) => (left -= weight) < 0)!;
  const wrong = pick(captions, draw('counterfactual'));
  return withFlaw(phrase(wrong.facts, draw), wrong.flaw);
}
