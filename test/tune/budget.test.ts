import {expect} from 'chai';
import {iterationsIn, spentOf} from '../../src/tune/budget.js';

describe('budget', () => {
  it('is used up in the iteration in which it runs out, and not before', () => {
    for (const budget of [{iterations: 7}, {minutes: 2}, {iterations: 7, minutes: 2}, {iterations: 100, minutes: 0.5}]) {
      for (const each of [0.7, 11, 40, 60, 600]) {
        const count = iterationsIn(budget, each);
        expect(spentOf(budget, count, count * each), `${JSON.stringify(budget)}, ${each} s`).to.be.at.least(1);
        expect(spentOf(budget, count - 1, (count - 1) * each)).to.be.below(1);
      }
    }
  });

  it('of minutes holds the iteration that ends after them', () => {
    expect(iterationsIn({minutes: 1}, 60)).to.equal(1);
    expect(iterationsIn({minutes: 1}, 59)).to.equal(2);
    expect(iterationsIn({minutes: 1}, 25)).to.equal(3);
    expect(iterationsIn({iterations: 2, minutes: 1}, 25)).to.equal(2);
  });
});
