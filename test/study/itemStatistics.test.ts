import {expect} from 'chai';
import {areaUnderCurve} from '../../src/evaluate/encoderDiagnostics.js';
import {itemAccuracy, itemAuc, itemRanking} from '../../src/study/itemStatistics.js';
import {integers, normals} from '../../src/tensor/random.js';

const COUNT = 50;
// Rounded, so that there are ties and zeros.
const draw = (purpose: string, shift: number): Float32Array =>
  normals({seed: 4, purpose}, new Float32Array(COUNT)).map((z) => Math.round(2 * (z + shift)));
const scores = {yes: draw('yes', 0.4), no: draw('no', -0.4)};
const pick = (values: Float32Array, indices: ArrayLike<number>): number[] => Array.from(indices, (i) => values[i]);
const sign = (x: number): number => (x > 0 ? 1 : x < 0 ? 0 : 0.5);
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

describe('statistics of items', () => {
  const lists = [Int32Array.from({length: COUNT}, (_, i) => i), integers({seed: 1, purpose: 'list'}, COUNT, COUNT), [7, 7, 7, 3]];
  for (const [k, list] of lists.entries()) {
    it(`are those of the chosen items, with as many copies as there are (list ${k})`, () => {
      const [yes, no] = [pick(scores.yes, list), pick(scores.no, list)];
      expect(itemAuc(scores)(list)).to.be.closeTo(areaUnderCurve(yes, no), 1e-12);
      expect(itemAccuracy(scores)(list)).to.be.closeTo(mean([...yes.map(sign), ...no.map((x) => sign(-x))]), 1e-12);
      expect(itemRanking(scores)(list)).to.be.closeTo(mean(yes.map((x, i) => sign(x - no[i]))), 1e-12);
    });
  }

  it('of a perfect head are 1', () => {
    const perfect = {yes: Float32Array.of(1, 2, 3), no: Float32Array.of(-1, -2, -3)};
    for (const statistic of [itemAuc, itemAccuracy, itemRanking]) expect(statistic(perfect)([0, 1, 2])).to.equal(1);
  });
});
