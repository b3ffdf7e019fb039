import {expect} from 'chai';
import {principalAxes} from '../../src/numeric/principalAxes.js';
import {moments} from '../../src/numeric/moments.js';
import {normals} from '../../src/tensor/random.js';

describe('principal axes', () => {
  const z = normals({seed: 2, purpose: 'axes'}, new Float32Array(400));
  // Variance 9 along (1, 2, 2)/3, 1 along (2, 1, −2)/3, none along the third; the mean is (5, 0, 1).
  const points = Float64Array.from({length: 600}, (_, at) => {
    const [i, d] = [Math.floor(at / 3), at % 3];
    return [5, 0, 1][d] + z[2 * i] * [1, 2, 2][d] + (z[2 * i + 1] * [2, 1, -2][d]) / 3;
  });
  const rows = {shape: [200, 3], data: points};

  it('are uncorrelated, the one of the larger variance first, and hold all variance there is', () => {
    const projected = principalAxes(rows, 2)(rows);
    const {mean, covariance} = moments({shape: [200, 2], data: projected});
    expect(mean[0]).to.be.closeTo(0, 1e-10);
    expect(covariance[1]).to.be.closeTo(0, 1e-10);
    expect(covariance[0]).to.be.above(4 * covariance[3]);
    const all = moments(rows).covariance;
    expect(covariance[0] + covariance[3]).to.be.closeTo(all[0] + all[4] + all[8], 1e-9);
  });

  it('place other points by the same directions and the same mean', () => {
    const plane = principalAxes(rows, 1);
    const {mean} = moments(rows);
    expect(plane({shape: [1, 3], data: mean})[0]).to.be.closeTo(0, 1e-12);
    const step = plane({shape: [1, 3], data: mean.map((m, d) => m + [1, 2, 2][d])})[0];
    expect(Math.abs(step)).to.be.closeTo(3, 0.01);
  });
});
