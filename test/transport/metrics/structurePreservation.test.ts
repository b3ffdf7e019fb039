import {expect} from 'chai';
import {ShapeError} from '../../../src/errors.js';
import {structurePreservation} from '../../../src/transport/metrics/structurePreservation.js';
import {pairDistances} from '../../../src/transport/metrics/distances.js';
import {affineCloud, normalCloud, turn} from '../../support/clouds.js';
import {cases, numbers} from '../../support/golden.js';

describe('structurePreservation', () => {
  for (const c of cases('not.json', 'metrics')) {
    it(`agrees with the released code on ${c.name}, and with the usual coefficient over pairs`, () => {
      const [x, y] = [c.inputs.x, c.inputs.y].map((t) => ({shape: t.shape, data: numbers(t)}));
      const wanted = (name: string): number => Number(c.outputs[name]);
      expect(structurePreservation(x, y, 'matrix')).to.be.closeTo(wanted('structure_preservation'), 1e-6);
      expect(structurePreservation(x, y)).to.be.closeTo(wanted('spearman_off_diagonal_only'), 1e-6);
    });
  }

  it('takes each pair once', () => {
    // Points 0, 3 and 7 on a line.
    expect([...pairDistances({shape: [3, 1], data: [0, 3, 7]})]).to.deep.equal([9, 49, 16]);
  });

  it('is 1 for a similarity and near 0 for strangers', () => {
    const x = normalCloud(60, 4, 1);
    const moved = affineCloud(
      x,
      turn(4, 1.1).map((row) => row.map((v) => 0.5 * v)),
      [9, 0, 0, -2],
    );
    // Rounding to float32 exchanges a few distances that are almost equal.
    expect(structurePreservation(x, moved)).to.be.closeTo(1, 1e-6);
    expect(Math.abs(structurePreservation(x, normalCloud(60, 4, 2)))).to.be.below(0.15);
  });

  it('is −1 where the near become far', () => {
    expect(structurePreservation({shape: [3, 1], data: [0, 1, 3]}, {shape: [3, 1], data: [0, 3, 1]})).to.be.closeTo(-1, 1e-12);
  });

  it('refuses clouds that are not of the same points', () => {
    expect(() => structurePreservation(normalCloud(5, 2, 1), normalCloud(6, 2, 1))).to.throw(ShapeError, /got 5 and 6 rows/);
  });
});
