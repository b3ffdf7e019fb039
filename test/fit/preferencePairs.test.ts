import {expect} from 'chai';
import {mislabelled, pairAccuracy} from '../../src/fit/preferencePairs.js';
import {comparedPairs, type PreferencePair} from '../../src/numeric/comparedPairs.js';

const allPairs = (totals: readonly number[]): PreferencePair[] =>
  comparedPairs(
    totals,
    totals.map(() => ''),
    'all',
  ).pairs;

describe('pairs of clips with a preference', () => {
  it('are mislabelled at the stated rate, the same ones for the same seed', () => {
    const pairs = allPairs(Array.from({length: 200}, (_, i) => i));
    const wrong = (noise: number, seed: number): boolean[] =>
      mislabelled(pairs, noise, seed).map(({better}, i) => better !== pairs[i].better);
    const share = (flags: boolean[]): number => flags.filter(Boolean).length / flags.length;
    expect(share(wrong(0, 1))).to.equal(0);
    // 19,900 draws: a standard deviation of .2 %.
    expect(share(wrong(0.1, 1))).to.be.closeTo(0.1, 0.01);
    expect(share(wrong(0.5, 1))).to.be.closeTo(0.5, 0.02);
    expect(wrong(0.1, 1)).to.deep.equal(wrong(0.1, 1));
    expect(wrong(0.1, 1)).not.to.deep.equal(wrong(0.1, 2));
  });

  it('are ranked right where the better one scores higher, and half right where they tie', () => {
    const pairs = allPairs([1, 2, 3]);
    expect(pairAccuracy([1, 2, 3], pairs)).to.equal(1);
    expect(pairAccuracy([3, 2, 1], pairs)).to.equal(0);
    expect(pairAccuracy([2, 2, 3], pairs)).to.be.closeTo(2.5 / 3, 1e-12);
  });
});
