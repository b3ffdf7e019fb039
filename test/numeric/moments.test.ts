import {expect} from 'chai';
import {ShapeError} from '../../src/errors.js';
import {moments} from '../../src/numeric/moments.js';
import {cases, expectOutput, numbers} from '../support/golden.js';

describe('moments', () => {
  for (const c of cases('metrics.json', 'frechet')) {
    it(`agrees with numpy on ${c.name}`, () => {
      for (const set of ['x', 'y']) {
        const {mean, covariance} = moments({shape: c.inputs[set].shape, data: numbers(c.inputs[set])});
        expectOutput(c, `mean_${set}`, mean);
        expectOutput(c, `cov_${set}`, covariance);
      }
    });
  }

  it('refuses what has no covariance', () => {
    expect(() => moments({shape: [1, 2], data: [1, 2]})).to.throw(ShapeError, /at least two vectors; got 1/);
    expect(() => moments({shape: [2, 2], data: [1, 2, 3]})).to.throw(ShapeError, /rows \[n, width\]; got shape \[2, 2\]/);
    expect(() => moments({shape: [4], data: [1, 2, 3, 4]})).to.throw(ShapeError, /got shape \[4\]/);
  });
});
