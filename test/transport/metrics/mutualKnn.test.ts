import {expect} from 'chai';
import fc from 'fast-check';
import {ShapeError} from '../../../src/errors.js';
import {nearestNeighbours, unitRows} from '../../../src/transport/metrics/distances.js';
import {mutualKnn} from '../../../src/transport/metrics/mutualKnn.js';
import {take} from '../../../src/tensor/ndarray.js';
import {permutation} from '../../../src/tensor/random.js';
import {affineCloud, normalCloud, turn} from '../../support/clouds.js';
import {cases, numbers, type GoldenTensor} from '../../support/golden.js';

const rowsOf = (t: GoldenTensor): {shape: number[]; data: number[]} => ({shape: t.shape, data: numbers(t)});

describe('mutualKnn', () => {
  for (const c of [...cases<{k: number}>('metrics.json', 'mutual-knn'), ...cases<{k: number}>('not.json', 'metrics')]) {
    it(`agrees with the released code on ${c.name}`, () => {
      const [x, y] = [rowsOf(c.inputs.x), rowsOf(c.inputs.y)];
      expect(mutualKnn(x, y, c.params.k)).to.be.closeTo(Number(c.outputs.mutual_knn), 1e-6);
      if (!('neighbours_x' in c.outputs)) return;
      const sets = (indices: ArrayLike<number>, k: number): number[][] =>
        Array.from({length: indices.length / k}, (_, i) =>
          Array.from(indices)
            .slice(i * k, (i + 1) * k)
            .sort((a, b) => a - b),
        );
      for (const [cloud, name] of [
        [x, 'neighbours_x'],
        [y, 'neighbours_y'],
      ] as const) {
        const {indices, k} = nearestNeighbours(unitRows(cloud), c.params.k);
        expect(sets(indices, k)).to.deep.equal(sets(numbers(c.outputs[name]), c.outputs[name].shape[1]));
      }
    });
  }

  it('finds the neighbours that sorting all distances finds', () => {
    const line = fc.uniqueArray(fc.integer({min: -1000, max: 1000}), {minLength: 2, maxLength: 20});
    fc.assert(
      fc.property(line, fc.integer({min: 1, max: 6}), (points, wanted) => {
        const {indices, k} = nearestNeighbours({shape: [points.length, 1], data: points}, wanted);
        expect(k).to.equal(Math.min(wanted, points.length - 1));
        points.forEach((p, i) => {
          const order = points
            .map((q, j) => ({j, distance: Math.abs(p - q)}))
            .filter(({j}) => j !== i)
            .sort((a, b) => a.distance - b.distance || a.j - b.j);
          expect([...indices.subarray(i * k, (i + 1) * k)]).to.deep.equal(order.slice(0, k).map(({j}) => j));
        });
      }),
    );
  });

  it('is 1 for a rotation and for other lengths, and near k/(n − 1) for strangers', () => {
    const x = normalCloud(200, 5, 1);
    const turned = affineCloud(x, turn(5, 0.7), [0, 0, 0, 0, 0]);
    expect(mutualKnn(x, {...turned, data: turned.data.map((v, at) => v * (1 + Math.floor(at / 5)))}, 10)).to.equal(1);
    expect(mutualKnn(x, normalCloud(200, 5, 2), 10)).to.be.closeTo(10 / 199, 0.02);
    // The same points under other indices are strangers too.
    expect(mutualKnn(x, take(x, permutation({seed: 1, purpose: 'shuffle'}, 200)), 10)).to.be.closeTo(10 / 199, 0.02);
  });

  it('refuses clouds that are not of the same points', () => {
    expect(() => mutualKnn(normalCloud(5, 2, 1), normalCloud(6, 2, 1), 2)).to.throw(ShapeError, /got 5 and 6 rows/);
    expect(() => mutualKnn(normalCloud(1, 2, 1), normalCloud(1, 2, 1), 2)).to.throw(ShapeError, /two or more/);
  });
});
