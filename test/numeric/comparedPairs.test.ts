import {expect} from 'chai';
import fc from 'fast-check';
import {comparedPairs, pairingNames} from '../../src/numeric/comparedPairs.js';

describe('comparedPairs', () => {
  // a: .1 .4 .2 .9; b: two equal; c: three, in between.
  const groups = ['a', 'b', 'a', 'c', 'a', 'b', 'c', 'a', 'c'];
  const rewards = [0.1, 0.5, 0.4, 3, 0.2, 0.5, 1, 0.9, 2];

  for (const [pairing, wanted] of [
    ['extremes', '7>0 3>6'],
    ['mirrored', '7>0 2>4 3>6'],
    ['all', '2>0 4>0 7>0 2>4 7>2 7>4 3>6 3>8 8>6'],
  ] as const) {
    it(`${pairing}: the better first, and no pair of equals`, () => {
      const {pairs, without} = comparedPairs(rewards, groups, pairing);
      expect(pairs.map(({better, worse}) => `${better}>${worse}`).join(' ')).to.equal(wanted);
      expect(without).to.equal(1);
    });
  }

  it('of any rewards: pairs of one prompt in the order of their rewards, no sample twice unless all are asked for', () => {
    const samples = fc.array(fc.record({reward: fc.integer({min: 0, max: 5}), group: fc.constantFrom('x', 'y', 'z')}), {
      minLength: 1,
    });
    fc.assert(
      fc.property(samples, fc.constantFrom(...pairingNames), (list, pairing) => {
        const names = list.map(({group}) => group);
        const {pairs, without} = comparedPairs(
          list.map(({reward}) => reward),
          names,
          pairing,
        );
        for (const {better, worse} of pairs) {
          expect(names[better]).to.equal(names[worse]);
          expect(list[better].reward).to.be.above(list[worse].reward);
        }
        const used = pairs.flatMap(({better, worse}) => [better, worse]);
        if (pairing !== 'all') expect(new Set(used).size).to.equal(used.length);
        const uneven = new Set(names).size - without;
        expect(new Set(pairs.map(({better}) => names[better])).size).to.equal(uneven);
        // A prompt has no pair just where all its rewards are equal.
        const spread = [...new Set(names)].filter(
          (n) => new Set(list.filter(({group}) => group === n).map((s) => s.reward)).size > 1,
        );
        expect(uneven).to.equal(spread.length);
      }),
    );
  });
});
