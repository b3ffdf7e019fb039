/** Bounds of the monitor: where each alarm begins, and that it says what it saw. */
import {expect} from 'chai';
import {alarmsOf, type ClipFigures, type Gains} from '../../src/tune/alarms.js';

const start: ClipFigures = {diversity: 0.2, motion: 0.1, saturation: 0.4, darkShare: 0.3, highFrequency: 0.2};
const figuresOf = (change: Partial<ClipFigures>, gains: readonly Gains[] = []): string[] =>
  alarmsOf({...start, ...change}, start, gains).map(({figure}) => figure);

describe('tune/alarms', () => {
  it('are silent at the start, and just inside every bound', () => {
    expect(figuresOf({})).to.deep.equal([]);
    const inside = {diversity: 0.141, motion: 0.061, saturation: 0.519, darkShare: 0.499, highFrequency: 0.269};
    expect(figuresOf(inside)).to.deep.equal([]);
    expect(figuresOf({saturation: 0.281})).to.deep.equal([]);
  });

  for (const [figure, value] of [
    ['diversity', 0.139],
    ['motion', 0.059],
    ['saturation', 0.521],
    ['saturation', 0.279],
    ['darkShare', 0.501],
    ['highFrequency', 0.271],
  ] as const) {
    it(`name ${figure} at ${value}, with both numbers and what to do, in one line`, () => {
      const [alarm, ...others] = alarmsOf({...start, [figure]: value}, start, []);
      expect(others).to.deep.equal([]);
      expect(alarm.figure).to.equal(figure);
      expect(alarm.message).to.match(
        new RegExp(`^${figure}: [^\n]* is ${value.toFixed(3)}, against ${start[figure].toFixed(3)} at`),
      );
      expect(alarm.message).to.match(/usually [^\n]*Look at samples\/; [^\n]*\.$/);
    });
  }

  it('name the yardstick where reward and yardstick part beyond their intervals, twice in a row', () => {
    const apart = {reward: 0.2, rewardLow: 0.1, yardstick: -0.1, yardstickHigh: -0.01};
    const undecided = [
      {...apart, yardstickHigh: 0.01},
      {...apart, rewardLow: -0.01},
      {...apart, rewardLow: NaN},
    ];
    expect(figuresOf({}, [apart])).to.deep.equal([]);
    for (const one of undecided) {
      expect(figuresOf({}, [one, apart])).to.deep.equal([]);
      expect(figuresOf({}, [apart, one])).to.deep.equal([]);
    }
    expect(figuresOf({}, [apart, apart])).to.deep.equal(['yardstick']);
    expect(alarmsOf(start, start, [apart, apart])[0].message).to.match(
      /risen by 0\.200 and the yardstick, [^\n]* fallen by 0\.100/,
    );
  });
});
