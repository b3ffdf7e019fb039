import {expect} from 'chai';
import {caption, factsOf, promise, tokenizerOf, vocabularyOf} from '../../../environments/fluentClips/caption.js';
import {textOf, promptsOf, specOf} from '../../../environments/fluentClips/streams.js';
import {presets} from '../../../environments/fluentClips/spec.js';
import {ConfigError} from '../../../src/errors.js';

describe('captions', () => {
  it('read back to exactly the facts that were promised', () => {
    for (let i = 0; i < 2000; i++) {
      const {spec, draw} = specOf(presets.mini, 'curated', i);
      expect(factsOf(caption(spec, draw))).to.deep.equal(promise(spec, draw));
    }
  });

  it('promise nothing that the clip does not show', () => {
    for (let i = 0; i < 500; i++) {
      const {spec, draw} = specOf(presets.mini, 'curated', i);
      const facts = promise(spec, draw);
      expect(facts.scene).to.equal(spec.scene);
      expect(facts.relation === null || facts.relation === spec.relation).to.equal(true);
      facts.objects.forEach((o, k) => {
        const shown = spec.objects[k];
        expect([o.noun, o.color]).to.deep.equal([shown.noun, shown.color]);
        expect(o.motion === null || o.motion === shown.motion).to.equal(true);
      });
    }
  });

  it('of two objects promise motions, a relation or neither, about 40 : 40 : 20', () => {
    const counts = {motion: 0, relation: 0, neither: 0};
    let two = 0;
    for (let i = 0; i < 3000; i++) {
      const {spec, draw} = specOf(presets.mini, 'curated', i);
      if (spec.objects.length < 2) continue;
      const {objects, relation} = promise(spec, draw);
      two++;
      counts[relation !== null ? 'relation' : objects[0].motion !== null ? 'motion' : 'neither']++;
    }
    expect(counts.motion / two).to.be.closeTo(0.4, 0.05);
    expect(counts.relation / two).to.be.closeTo(0.4, 0.05);
    expect(counts.neither / two).to.be.closeTo(0.2, 0.04);
  });

  it('are understood when written by a person', () => {
    expect(factsOf('A red car moving left, in the desert')).to.deep.equal({
      objects: [{noun: 'car', color: 'red', motion: 'left'}],
      relation: null,
      scene: 'desert',
    });
    expect(factsOf('a cat on the left of an umbrella')).to.deep.equal({
      objects: [
        {noun: 'cat', color: null, motion: null},
        {noun: 'umbrella', color: null, motion: null},
      ],
      relation: 'left of',
      scene: null,
    });
  });

  it('that the grammar cannot place are refused at the word', () => {
    expect(() => factsOf('a red left car')).to.throw(ConfigError, /wanted a noun; got 'left car'/);
    expect(() => factsOf('red car')).to.throw(ConfigError, /wanted 'a'; got 'red car'/);
    expect(() => factsOf('a car quickly')).to.throw(ConfigError, /got 'quickly'/);
    expect(() => factsOf('a car and')).to.throw(ConfigError, /got the end/);
    expect(() => factsOf('a red cat and a blue cat')).to.throw(ConfigError, /two different nouns/);
  });
});

describe('the tokenizer', () => {
  it('gives ids that read back as the caption, padded with 0', () => {
    for (const preset of [presets.mini, presets.nano]) {
      const words = vocabularyOf(preset);
      expect(words[0]).to.equal('');
      expect(new Set(words).size).to.equal(words.length);
      const texts = Array.from({length: 400}, (_, i) => textOf(preset, 'train', i));
      const {shape, data} = tokenizerOf(preset)(texts);
      expect(shape).to.deep.equal([400, preset.textLength]);
      texts.forEach((text, row) => {
        const ids = [...data.slice(row * preset.textLength, (row + 1) * preset.textLength)];
        expect(
          ids
            .map((id) => words[id])
            .join(' ')
            .trimEnd(),
        ).to.equal(text);
        const end = ids.indexOf(0);
        if (end >= 0) expect(ids.slice(end).every((id) => id === 0)).to.equal(true);
      });
    }
  });

  it('has room for every caption of every split', () => {
    for (const preset of [presets.mini, presets.nano]) {
      const texts = ['train', 'heldOut', 'heldOutCompositional'].flatMap((s) => promptsOf(preset, s, 1000).map((p) => p.text));
      expect(() => tokenizerOf(preset)(texts)).not.to.throw();
    }
    expect([vocabularyOf(presets.mini).length, vocabularyOf(presets.nano).length]).to.deep.equal([48, 28]);
  });

  it('refuses unknown words and long captions by name', () => {
    const tokenize = tokenizerOf(presets.nano);
    expect(() => tokenize(['a red zebra'])).to.throw(ConfigError, /'zebra' is not a word of fluentClips nano; use a, and, red/);
    expect(() => tokenize(['a '.repeat(13)])).to.throw(ConfigError, /wanted at most 12 words; got 13/);
  });
});
