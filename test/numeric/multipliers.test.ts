import {expect} from 'chai';
import fc from 'fast-check';
import {nextMultiplier, steeredCoefficient} from '../../src/numeric/multipliers.js';

describe('steeredCoefficient', () => {
  it('follows the published rule', () => {
    // β·(1 + 0.1·e), e = divergence/target − 1 within ±0.2.
    expect(steeredCoefficient(2, 1.1, 1)).to.be.closeTo(2 * 1.01, 1e-12);
    expect(steeredCoefficient(2, 0.95, 1)).to.be.closeTo(2 * 0.995, 1e-12);
    expect(steeredCoefficient(2, 7, 1)).to.be.closeTo(2 * 1.02, 1e-12);
    expect(steeredCoefficient(2, 0, 1)).to.be.closeTo(2 * 0.98, 1e-12);
  });

  it('stands still at the target and moves towards it from either side', () => {
    const positive = fc.integer({min: 1, max: 1000});
    fc.assert(
      fc.property(positive, positive, positive, (coefficient, divergence, target) => {
        const change = steeredCoefficient(coefficient, divergence, target) - coefficient;
        expect(Math.sign(change)).to.equal(Math.sign(divergence - target));
      }),
      {seed: 1},
    );
  });
});

describe('nextMultiplier', () => {
  const at = (mean: number, std = 0.4): {mean: number; std: number} => ({mean, std});

  it('rises below the floor and falls above it, by deviations, and is never negative', () => {
    expect(nextMultiplier(0.5, at(0.4), 0.6, 0.1)).to.be.closeTo(0.55, 1e-12);
    expect(nextMultiplier(0.5, at(0.7), 0.6, 0.1)).to.be.closeTo(0.475, 1e-12);
    expect(nextMultiplier(0.01, at(0.9), 0.6, 0.1)).to.equal(0);
    expect(nextMultiplier(0.5, at(0.6), 0.6, 0.1)).to.equal(0.5);
  });

  it('goes no further than its rate, and knows the side of samples that are all alike', () => {
    expect(nextMultiplier(0.5, at(-70), 0.6, 0.1)).to.be.closeTo(0.6, 1e-12);
    expect(nextMultiplier(0.5, at(70), 0.6, 0.1)).to.be.closeTo(0.4, 1e-12);
    expect(nextMultiplier(0.5, at(0.5, 0), 0.6, 0.1)).to.be.closeTo(0.6, 1e-12);
    expect(nextMultiplier(0.5, at(0.6, 0), 0.6, 0.1)).to.equal(0.5);
  });

  it('solves a constrained problem by ascent: max −x² subject to x ≥ 1 has λ = 2', () => {
    let multiplier = 0;
    for (let i = 0; i < 400; i++) multiplier = nextMultiplier(multiplier, at(multiplier / 2), 1, 0.05);
    expect(multiplier).to.be.closeTo(2, 1e-6);
  });
});
