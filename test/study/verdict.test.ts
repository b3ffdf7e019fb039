import {expect} from 'chai';
import {allOf, claim, ruleOfThree, verdictOf} from '../../src/study/verdict.js';

const interval = (low: number, high: number) => ({mean: (low + high) / 2, low, high});

describe('verdict', () => {
  it('is that of the whole interval', () => {
    expect(verdictOf(interval(0.01, 0.03), 0.005)).to.equal('confirmed');
    expect(verdictOf(interval(-0.03, 0.004), 0.005)).to.equal('refuted');
    expect(verdictOf(interval(-0.03, 0.03), 0.005)).to.equal('undecided');
  });

  it('is open where the interval touches the threshold, or is not known', () => {
    expect(verdictOf(interval(0, 1), 0)).to.equal('undecided');
    expect(verdictOf(interval(-1, 0), 0)).to.equal('undecided');
    expect(verdictOf(interval(NaN, NaN), 0)).to.equal('undecided');
  });

  it('of several is refuted by one, and confirmed by all alone', () => {
    expect(allOf(['confirmed', 'confirmed'])).to.equal('confirmed');
    expect(allOf(['confirmed', 'undecided'])).to.equal('undecided');
    expect(allOf(['undecided', 'refuted', 'confirmed'])).to.equal('refuted');
    expect(allOf([])).to.equal('undecided');
  });

  it('stands in the claim', () => {
    const parts = {name: 'a', says: 'b', paper: 'c', threshold: 1};
    expect(claim({...parts, measured: interval(2, 3)})).to.deep.equal({...parts, measured: interval(2, 3), verdict: 'confirmed'});
  });

  it('does not take a sample in which nothing happened for knowledge', () => {
    const nothing = {mean: 0, low: 0, high: 0};
    expect(verdictOf(ruleOfThree(nothing, 100), 0.005)).to.equal('undecided');
    expect(verdictOf(ruleOfThree(nothing, 10_000), 0.005)).to.equal('refuted');
    expect(ruleOfThree(interval(-0.4, 0.4), 100)).to.deep.equal(interval(-0.4, 0.4));
  });
});
