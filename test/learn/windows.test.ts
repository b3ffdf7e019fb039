import {expect} from 'chai';
import fc from 'fast-check';
import {movingWindow, randomWindow} from '../../src/learn/windows.js';

const starts = (plan: ReturnType<typeof movingWindow>, iterations: number, steps = 8): number[] =>
  Array.from({length: iterations}, (_, i) => plan(i, 0, steps, 1).start);

describe('windows', () => {
  it('random ones lie in every place of their range and in no other, apart for each batch, iteration and seed', () => {
    const plan = randomWindow('test', {size: 2, from: 0.25, to: 0.7});
    const found = Array.from({length: 200}, (_, i) => plan(i, 0, 8, 1).start);
    expect([...new Set(found)].sort()).to.deep.equal([2, 3, 4, 5]);
    const batches = Array.from({length: 200}, (_, i) => plan(i, 1, 8, 1).start);
    const seeds = Array.from({length: 200}, (_, i) => plan(i, 0, 8, 2).start);
    expect(found).not.to.deep.equal(batches);
    expect(found).not.to.deep.equal(seeds);
    expect(Array.from({length: 200}, (_, i) => plan(i, 0, 8, 1).start)).to.deep.equal(found);
  });

  it('moving ones dwell, go on by a step, and begin again or stay', () => {
    const range = {size: 2, from: 0.5};
    expect(starts(movingWindow(range, 2, 'again'), 8)).to.deep.equal([4, 4, 5, 5, 4, 4, 5, 5]);
    expect(starts(movingWindow(range, 2, 'stay'), 8)).to.deep.equal([4, 4, 5, 5, 5, 5, 5, 5]);
    expect(starts(movingWindow({size: 4, from: 0, to: 0.25}, 1, 'again'), 5)).to.deep.equal([0, 1, 0, 1, 0]);
  });

  it('never reach the last step, nor leave the trajectory, whatever the range', () => {
    const share = fc.double({min: 0, max: 0.999, noNaN: true});
    fc.assert(
      fc.property(fc.integer({min: 2, max: 30}), fc.nat(28), share, share, fc.nat(99), (steps, n, from, to, iteration) => {
        const size = 1 + (n % (steps - 1));
        const range = {size, from, to: to + 0.001};
        for (const plan of [randomWindow('test', range), movingWindow(range, 3, 'again'), movingWindow(range, 3, 'stay')]) {
          const {start, size: length} = plan(iteration, 0, steps, 7);
          expect(length).to.equal(size);
          expect(start).to.be.at.least(0);
          expect(start + length).to.be.at.most(steps - 1);
        }
      }),
      {numRuns: 300, seed: 3},
    );
  });
});
