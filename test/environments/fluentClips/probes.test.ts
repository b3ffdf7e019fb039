/** What encoders are examined with: true captions are true, wrong ones are wrong in one respect, worse clips are worse. */
import {expect} from 'chai';
import {
  factsOf,
  flawWords,
  phrase,
  promise,
  tokenizerOf,
  type Facts,
  type NamedFlaw,
} from '../../../environments/fluentClips/caption.js';
import {
  counterfactualOf,
  kindsOf,
  wrongCaptionOf,
  type Counterfactual,
} from '../../../environments/fluentClips/counterfactuals.js';
import {degradations} from '../../../environments/fluentClips/degrade.js';
import {encodersOf} from '../../../environments/fluentClips/encoders.js';
import {openJudge} from '../../../environments/fluentClips/judge/judge.js';
import {attributesOf, probesOf} from '../../../environments/fluentClips/probes.js';
import {
  clipOf,
  flawOf,
  isFactHeldOut,
  pairCaptionsOf,
  promptSpec,
  specOf,
  textOf,
  withFlaw,
  type PairStream,
} from '../../../environments/fluentClips/streams.js';
import {render} from '../../../environments/fluentClips/render.js';
import {presets} from '../../../environments/fluentClips/spec.js';
import {float32, type NdArray} from '../../../src/tensor/ndarray.js';

const asFloats = ({shape, data}: NdArray<'uint8'>): NdArray<'float32'> =>
  float32(
    Float32Array.from(data, (x) => x / 127.5 - 1),
    shape,
  );

describe('the pairs that an encoder learns from', () => {
  const preset = presets.mini;
  const indices = Array.from({length: 400}, (_, i) => i);
  const words = Object.values<string>(flawWords);
  /** The word of a flaw at the end of a caption, and the rest. */
  const parted = (text: string): [string, string | null] => {
    const last = text.split(' ').at(-1)!;
    return words.includes(last) ? [text.slice(0, -last.length - 1), last] : [text, null];
  };

  it('name what is wrong with a clip: a quarter of them, every flaw that has a name; the others are clean', () => {
    const seen = new Map<string, number>();
    for (const index of indices) {
      const {spec, draw} = specOf(preset, 'pairs', index);
      const {text, pixels} = clipOf(preset, 'pairs', index, false);
      const flaw = flawOf('pairs', draw);
      const [, word] = parted(text);
      expect(word).to.equal(flaw === null ? null : flawWords[flaw as keyof typeof flawWords]);
      if (word === null) expect(Buffer.compare(pixels, render(preset, spec)), text).to.equal(0);
      else seen.set(word, (seen.get(word) ?? 0) + 1);
    }
    expect([...seen.keys()]).to.have.members(words);
    expect([...seen.values()].reduce((a, b) => a + b) / indices.length).to.be.within(0.18, 0.32);
  });

  it('come with a caption that is wrong in one respect, most often in what is hard to see', () => {
    const kinds = new Map<string, number>();
    for (const index of indices) {
      const {spec} = specOf(preset, 'pairs', index);
      const [right, flaw] = parted(clipTextWithoutMistakes(index));
      const [wrong, wrongFlaw] = parted(wrongCaptionOf(preset, 'pairs', index));
      const counted = factsOf(wrong).objects.length !== spec.objects.length;
      const found = flaw === wrongFlaw ? (counted ? ['count'] : differencesOf({text: right, wrong})) : ['flaw'];
      expect(found, `${right} ${flaw} / ${wrong} ${wrongFlaw}`).to.have.length(1);
      if (flaw !== wrongFlaw) expect(wrong).to.equal(right);
      expect(isFactHeldOut(factsOf(wrong)), wrong).to.equal(false);
      kinds.set(found[0], (kinds.get(found[0]) ?? 0) + 1);
    }
    expect([...kinds.keys()]).to.have.members([...kindsOf(preset), 'flaw']);
    expect(kinds.get('motion')!).to.be.above(1.5 * kinds.get('noun')!);
    expect(kinds.get('relation')!).to.be.within(100, 180);
  });

  it('name a relation in two of five captions, in the hard pairs in nearly all, and there the wrong caption is wrong in it', () => {
    const related = (stream: PairStream): number =>
      indices.filter((index) => factsOf(parted(textOf(preset, stream, index))[0]).relation !== null).length / indices.length;
    expect(related('pairs')).to.be.within(0.35, 0.5);
    expect(related('hardPairs')).to.be.above(0.88);
    const opposed = indices.filter((index) => {
      const [right, wrong] = [textOf(preset, 'hardPairs', index), wrongCaptionOf(preset, 'hardPairs', index)].map((text) =>
        factsOf(parted(text)[0]),
      );
      return right.relation !== null && wrong.relation !== null && right.relation !== wrong.relation;
    });
    expect(opposed.length / indices.length).to.be.above(0.75);
  });

  /** The caption of pair `index` as an annotator without mistakes writes it. */
  function clipTextWithoutMistakes(index: number): string {
    const {spec, draw} = specOf(preset, 'pairs', index);
    return withFlaw(phrase(promise(spec, draw, pairCaptionsOf('pairs')), draw), flawOf('pairs', draw) as NamedFlaw | null);
  }

  it('have captions that the encoders can read, and the policy cannot', () => {
    const [a] = encodersOf(preset);
    const texts = indices.flatMap((i) => [textOf(preset, 'pairs', i), wrongCaptionOf(preset, 'pairs', i)]);
    expect(() => a.encoder.tokenize(texts)).not.to.throw();
    expect(() => tokenizerOf(preset)(['a red car at night noisy'])).to.throw(/'noisy' is not a word/);
  });
});

/** Which of the facts differ. */
function differencesOf({text, wrong}: Pick<Counterfactual, 'text' | 'wrong'>): string[] {
  const [a, b] = [factsOf(text), factsOf(wrong)];
  const pairs = a.objects.flatMap((object, i) => {
    const other = b.objects[i];
    return other === undefined ? [] : (['noun', 'color', 'motion'] as const).filter((key) => object[key] !== other[key]);
  });
  return [...pairs, ...(a.relation === b.relation ? [] : ['relation']), ...(a.scene === b.scene ? [] : ['scene'])];
}

describe('counterfactual captions', () => {
  const items = Array.from({length: 200}, (_, i) => counterfactualOf(presets.mini, i));
  const of = (kind: string): Counterfactual[] => items.filter((item) => item.kind === kind);
  it('take turns in what is wrong', () => {
    expect(items.slice(0, 5).map(({kind}) => kind)).to.deep.equal(['noun', 'color', 'motion', 'relation', 'count']);
    for (const kind of kindsOf(presets.mini)) expect(of(kind)).to.have.length(40);
    expect(kindsOf(presets.nano)).to.deep.equal(['noun', 'color', 'motion']);
  });

  it('differ in that one respect', () => {
    for (const kind of ['noun', 'color', 'motion', 'relation']) {
      for (const item of of(kind)) expect(differencesOf(item), `${item.text} / ${item.wrong}`).to.deep.equal([kind]);
    }
    for (const {text, wrong, spec} of of('count')) {
      const [a, b] = [factsOf(text), factsOf(wrong)];
      expect(Math.abs(a.objects.length - b.objects.length), `${text} / ${wrong}`).to.equal(1);
      expect(a.scene).to.equal(b.scene);
      const names = ({objects}: Facts): string[] => objects.map(({noun, color}) => `${noun}/${color}`);
      const [few, many] = a.objects.length < b.objects.length ? [a, b] : [b, a];
      expect(names(many)).to.include(names(few)[0]);
      expect(spec.objects).to.have.length(a.objects.length);
    }
  });

  it('leave it to the clip which of two is wrong: as many wrong captions count too many objects as too few', () => {
    expect(of('count').filter(({spec}) => spec.objects.length === 2)).to.have.length(20);
    const bothWays = of('relation').map(({text, wrong}) => `${factsOf(text).relation} ${factsOf(wrong).relation}`);
    expect(bothWays).to.include.members(['left of right of', 'right of left of', 'above below', 'below above']);
  });

  it('name no held-out composition, and nothing that is never shown', () => {
    for (const {text, wrong} of items) {
      for (const caption of [text, wrong]) {
        const facts = factsOf(caption);
        expect(isFactHeldOut(facts), caption).to.equal(false);
        expect(caption).not.to.match(/white \w+.*(at night|under the stars)/);
        if (facts.scene === 'desert') expect(caption).not.to.match(/a cat /);
      }
    }
  });

  it('are told apart by the judge', async function () {
    this.timeout(30_000);
    const judge = openJudge(presets.mini, 0);
    const indices = Array.from({length: 25}, (_, i) => i);
    const {videos, texts, wrong, kinds} = probesOf(presets.mini).counterfactuals(indices);
    expect(kinds).to.deep.equal(indices.map((i) => items[i].kind));
    const strict = async (captions: readonly string[]): Promise<unknown[]> =>
      (
        await judge.judge(
          asFloats(videos),
          captions.map((text) => ({id: text, text})),
        )
      ).map((j) => j['strict']);
    expect(await strict(texts)).to.deep.equal(indices.map(() => 1));
    const verdicts = await strict(wrong);
    // A caption that leaves an object out says nothing false: the judge does not count.
    verdicts.forEach((verdict, i) => {
      if (kinds[i] !== 'count' || factsOf(wrong[i]).objects.length > 1) expect(verdict, `${texts[i]} / ${wrong[i]}`).to.equal(0);
    });
  });
});

describe('degraded clips', () => {
  const probes = probesOf(presets.mini);
  const {videos, texts} = probes.degraded([0, 1, 2]);
  const size = videos.data.length / (3 * degradations.length);
  const variant = (clip: number, i: number): Uint8Array =>
    videos.data.subarray((clip * degradations.length + i) * size, (clip * degradations.length + i + 1) * size);

  it('begin with the clean clip of a held-out prompt', () => {
    expect(probes.variants[0]).to.equal('clean');
    expect(probes.variants).to.have.length(21);
    for (const clip of [0, 1, 2]) {
      const {spec, text} = promptSpec(presets.mini, 'heldOut', clip);
      expect(texts[clip]).to.equal(text);
      expect(variant(clip, 0)).to.deep.equal(render(presets.mini, spec));
    }
  });

  it('are further from it with every degree', () => {
    const apart = (i: number): number => {
      let sum = 0;
      for (const clip of [0, 1, 2]) {
        const [clean, spoilt] = [variant(clip, 0), variant(clip, i)];
        for (let k = 0; k < size; k++) sum += (spoilt[k] - clean[k]) ** 2;
      }
      return sum;
    };
    for (let kind = 0; kind < 5; kind++) {
      const grades = [1, 2, 3, 4].map((grade) => apart(4 * kind + grade));
      expect(grades[0], probes.variants[4 * kind + 1]).to.be.greaterThan(0);
      expect(grades).to.deep.equal([...grades].sort((a, b) => a - b));
    }
  });

  it("are worse in the judge's eyes at the last degree than at the first, and at the first than the clean one", async function () {
    this.timeout(60_000);
    const judge = openJudge(presets.mini, 0);
    const prompts = texts.flatMap((text) => degradations.map(() => ({id: text, text})));
    const qualities = (await judge.judge(asFloats(videos), prompts)).map((j) => judge.aggregate([j])['quality']);
    const mean = (i: number): number => [0, 1, 2].reduce((sum, clip) => sum + qualities[clip * degradations.length + i], 0) / 3;
    for (let kind = 0; kind < 5; kind++) {
      expect(mean(4 * kind + 1), probes.variants[4 * kind + 1]).to.be.below(mean(0));
      expect(mean(4 * kind + 4), probes.variants[4 * kind + 4]).to.be.below(mean(4 * kind + 1));
    }
  });
});

describe('attributes of a caption', () => {
  it('are what it says of its objects, and nothing that it leaves open', () => {
    expect(attributesOf('a red car moving left on the sand')).to.deep.equal({
      noun: 'car',
      color: 'red',
      motion: 'left',
      scene: 'desert',
    });
    expect(attributesOf('a fish')).to.deep.equal({noun: 'fish'});
  });

  it('of two objects are both in one order, if both are named', () => {
    const [one, other] = ['a red fish and a blue car', 'a blue car above a red fish'].map(attributesOf);
    expect(one).to.deep.equal({noun: 'car and fish', color: 'blue and red'});
    expect(other).to.deep.equal(one);
    expect(attributesOf('a red fish and a car')).to.deep.equal({noun: 'car and fish'});
  });
});
