import {expect} from 'chai';
import {factsOf, type Facts} from '../../../environments/fluentClips/caption.js';
import {isColorHeldOut, isMotionHeldOut, isPairHeldOut} from '../../../environments/fluentClips/splits.js';
import {textOf, clipStreams, promptsOf, specOf, type ClipStream} from '../../../environments/fluentClips/streams.js';
import {colors, motions, nouns, presets, type Color} from '../../../environments/fluentClips/spec.js';
import {ConfigError} from '../../../src/errors.js';

/** The held-out compositions as they were chosen, written out. */
const heldOutColors = [
  'cat red',
  'cat green',
  'car yellow',
  'bird white',
  'fish purple',
  'star white',
  'umbrella red',
  'umbrella blue',
];
const heldOutMotions = [
  'cat right',
  'car left',
  'car grow',
  'bird right',
  'fish down',
  'star up',
  'umbrella left',
  'umbrella still',
];
const heldOutPairs = ['cat star', 'car bird', 'fish umbrella'];
/** What a noun without a colour word looks like. */
const naturalColors: Record<string, Color> = {
  cat: 'yellow',
  car: 'red',
  bird: 'red',
  fish: 'blue',
  star: 'yellow',
  umbrella: 'purple',
};

/** Every held-out composition among these objects, found without the code under test. */
const found = (objects: readonly {noun: string; color: string | null; motion: string | null}[]): string[] => [
  ...objects.map((o) => `${o.noun} ${o.color ?? naturalColors[o.noun]}`).filter((c) => heldOutColors.includes(c)),
  ...objects.map((o) => `${o.noun} ${o.motion}`).filter((c) => heldOutMotions.includes(c)),
  ...heldOutPairs.filter((pair) => pair.split(' ').every((n) => objects.some((o) => o.noun === n))),
];

describe('held-out compositions', () => {
  it('are the ones that were chosen, about a fifth of all', () => {
    expect(nouns.flatMap((n) => colors.filter((c) => isColorHeldOut(n, c)).map((c) => `${n} ${c}`))).to.have.members(
      heldOutColors,
    );
    expect(nouns.flatMap((n) => motions.filter((m) => isMotionHeldOut(n, m)).map((m) => `${n} ${m}`))).to.have.members(
      heldOutMotions,
    );
    const pairs = nouns.flatMap((a, i) => nouns.slice(i + 1).map((b) => [a, b] as const));
    expect(pairs.filter(([a, b]) => isPairHeldOut(a, b)).map((p) => p.join(' '))).to.have.members(heldOutPairs);
    expect(pairs.every(([a, b]) => isPairHeldOut(a, b) === isPairHeldOut(b, a))).to.equal(true);
  });

  it('are never rendered, and never named, by any stream of clips', () => {
    for (const stream of Object.keys(clipStreams) as ClipStream[]) {
      for (let i = 0; i < 3000; i++) {
        const {spec} = specOf(presets.mini, stream, i);
        expect(found(spec.objects), `${stream} ${i}`).to.deep.equal([]);
      }
    }
    for (let i = 0; i < 3000; i++) {
      const {objects} = factsOf(textOf(presets.mini, 'train', i));
      expect(found(objects), `train caption ${i}`).to.deep.equal([]);
    }
  });

  it('are in every prompt of heldOutCompositional and in none of the other splits', () => {
    for (const preset of [presets.mini, presets.nano]) {
      for (const {truth} of promptsOf(preset, 'heldOutCompositional', 500)) {
        expect(found((truth as Facts).objects)).not.to.deep.equal([]);
      }
      for (const split of ['train', 'heldOut']) {
        for (const {truth} of promptsOf(preset, split, 500)) expect(found((truth as Facts).objects)).to.deep.equal([]);
      }
    }
  });
});

describe('prompts', () => {
  it('of heldOut are never prompts of train', () => {
    for (const preset of [presets.mini, presets.nano]) {
      const train = new Set(promptsOf(preset, 'train', 2000).map((p) => p.text));
      expect(promptsOf(preset, 'heldOut', 1000).filter((p) => train.has(p.text))).to.deep.equal([]);
    }
  });

  it('are the same however many are asked for, with ids of their own and the facts of their text', () => {
    const prompts = promptsOf(presets.mini, 'heldOut', 64);
    expect(prompts.slice(0, 10)).to.deep.equal(promptsOf(presets.mini, 'heldOut', 10));
    expect(new Set(prompts.map((p) => p.id)).size).to.equal(64);
    for (const {text, truth} of prompts) expect(truth).to.deep.equal(factsOf(text));
  });

  it('show two objects in a third', () => {
    const prompts = promptsOf(presets.mini, 'train', 2000);
    const two = prompts.filter((p) => (p.truth as Facts).objects.length === 2).length;
    expect(two / 2000).to.be.within(0.2, 0.36);
  });

  it('of an unknown split are refused with the known ones', () => {
    expect(() => promptsOf(presets.mini, 'test', 1)).to.throw(
      ConfigError,
      /one of train, heldOut, heldOutCompositional; got 'test'/,
    );
  });
});
