import {expect} from 'chai';
import {mislabelled, pairAccuracy, rankedPairs} from '../../src/fit/preferencePairs.js';

describe('pairs of clips with a preference', () => {
  it('are all pairs of one group that differ, the better one first', () => {
    expect(rankedPairs([0.1, 0.3, 0.3, 0.5, 0.4, 0.2], 3)).to.deep.equal([
      {better: 1, worse: 0},
      {better: 2, worse: 0},
      {better: 3, worse: 4},
      {better: 3, worse: 5},
      {better: 4, worse: 5},
    ]);
  });

  it('are mislabelled at the stated rate, the same ones for the same seed', () => {
    const pairs = rankedPairs(
      Array.from({length: 200}, (_, i) => i),
      200,
    );
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
    const pairs = rankedPairs([1, 2, 3], 3);
    expect(pairAccuracy([1, 2, 3], pairs)).to.equal(1);
    expect(pairAccuracy([3, 2, 1], pairs)).to.equal(0);
    expect(pairAccuracy([2, 2, 3], pairs)).to.be.closeTo(2.5 / 3, 1e-12);
  });
});
