import {expect} from 'chai';
import fc from 'fast-check';
import {nearest, suggestion} from '../src/nearest.js';

describe('nearest', () => {
  const names = ['learningRate', 'seed', 'sampler', 'samplesPerPrompt'];

  it('finds a name through a wrong letter, a swap, a missing letter and another spelling of words', () => {
    for (const typed of ['learningRat', 'laerningRate', 'learning_rate', 'LEARNING-RATE', 'learninRate']) {
      expect(nearest(typed, names)).to.equal('learningRate');
    }
    expect(nearest('smapler', names)).to.equal('sampler');
  });

  it('gives nothing for a name that is like none', () => {
    expect(nearest('zebra', names)).to.equal(undefined);
    expect(nearest('', names)).to.equal(undefined);
  });

  it('takes two wrong letters of six for a slip, and three for another word', () => {
    expect(nearest('abcdxx', ['abcdef'])).to.equal('abcdef');
    expect(nearest('abcxxx', ['abcdef'])).to.equal(undefined);
  });

  it('counts a swap of neighbours as one edit', () => {
    expect(nearest('abc', ['bac'])).to.equal('bac');
    expect(nearest('abc', ['cab'])).to.equal(undefined);
  });

  it('finds every name itself before any other', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.stringMatching(/^[a-z]{3,12}$/), {minLength: 1}), (known) => {
        for (const name of known) expect(nearest(name, known)).to.equal(name);
      }),
    );
  });

  it('lists the known names when none is near', () => {
    expect(suggestion('zebra', ['a', 'b'])).to.equal('; known: a, b.');
    expect(suggestion('sede', names)).to.equal('; did you mean "seed"?');
  });
});
