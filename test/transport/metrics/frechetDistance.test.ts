import {expect} from 'chai';
import {ShapeError} from '../../../src/errors.js';
import {frechetDistance, gaussianDistance} from '../../../src/transport/metrics/frechetDistance.js';
import {affineCloud, normalCloud, turn} from '../../support/clouds.js';
import {cases, numbers} from '../../support/golden.js';

/** A Gaussian with independent coordinates. */
const independent = (mean: number[], variances: number[]): {mean: Float64Array; covariance: Float64Array} => ({
  mean: Float64Array.from(mean),
  covariance: Float64Array.from(variances.flatMap((v, i) => variances.map((_, j) => (i === j ? v : 0)))),
});

describe('frechetDistance', () => {
  for (const c of cases('metrics.json', 'frechet')) {
    it(`agrees with pytorch-fid and torchmetrics on ${c.name}`, () => {
      const [x, y] = [c.inputs.x, c.inputs.y].map((t) => ({shape: t.shape, data: numbers(t)}));
      for (const formula of ['frechet', 'frechet_torchmetrics']) {
        const wanted = Number(c.outputs[formula]);
        const {atol, rtol} = c.tolerance[formula];
        expect(frechetDistance(x, y), formula).to.be.closeTo(wanted, atol + rtol * wanted);
      }
    });
  }

  it('is Σ (μ_x − μ_y)² + (σ_x − σ_y)² for independent coordinates, with variances of 0 too', () => {
    const [x, y] = [independent([1, 2, 0], [4, 9, 0]), independent([0, 0, 0], [1, 0, 0.25])];
    expect(gaussianDistance(x, y)).to.be.closeTo(1 + 4 + (2 - 1) ** 2 + 3 ** 2 + 0.5 ** 2, 1e-12);
  });

  it('is the squared length of a shift, and 0 for none', () => {
    const x = normalCloud(50, 3, 1);
    const unmoved = [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ];
    expect(frechetDistance(x, affineCloud(x, unmoved, [1, -2, 2]))).to.be.closeTo(9, 1e-5);
    expect(frechetDistance(x, x)).to.be.within(0, 1e-12);
  });

  it('is 0 from a set to itself where it spans less than its space', () => {
    const x = normalCloud(4, 7, 1);
    expect(frechetDistance(x, x)).to.be.within(0, 1e-7);
  });

  it('is symmetric, and the same after a rotation of both', () => {
    const [x, y] = [normalCloud(40, 4, 1), affineCloud(normalCloud(30, 4, 2), turn(4, 0.3), [0, 1, 0, 0])];
    const distance = frechetDistance(x, y);
    expect(frechetDistance(y, x)).to.be.closeTo(distance, 1e-10);
    const [tx, ty] = [x, y].map((cloud) => affineCloud(cloud, turn(4, 1.9), [0, 0, 0, 0]));
    expect(frechetDistance(tx, ty)).to.be.closeTo(distance, 1e-5);
  });

  it('refuses sets of different width, and of one vector', () => {
    expect(() => frechetDistance(normalCloud(9, 2, 1), normalCloud(9, 3, 1))).to.throw(ShapeError, /got 2 and 3/);
    expect(() => frechetDistance(normalCloud(1, 2, 1), normalCloud(9, 2, 1))).to.throw(ShapeError, /at least two/);
  });
});
