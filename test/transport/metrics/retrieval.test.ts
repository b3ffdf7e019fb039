import {expect} from 'chai';
import {ShapeError} from '../../../src/errors.js';
import {float32} from '../../../src/tensor/ndarray.js';
import {mostSimilar} from '../../../src/transport/metrics/distances.js';
import {attributeRetrieval, attributeShift, retrievalAtOne} from '../../../src/transport/metrics/retrieval.js';

/** Unit vectors of the plane at some angles, in degrees. */
const at = (...degrees: number[]): ReturnType<typeof float32> =>
  float32(
    degrees.flatMap((d) => [Math.cos((d * Math.PI) / 180), Math.sin((d * Math.PI) / 180)]),
    [degrees.length, 2],
  );

describe('retrieval', () => {
  it('finds the smallest angle, whatever the lengths; the first of equals', () => {
    const long = float32([100, 0, 0, 1, 1, 1, -5, 0, 0, 0], [5, 2]);
    expect([...mostSimilar(at(2, 80, 46, 170), long)]).to.deep.equal([0, 1, 2, 3]);
    expect([...mostSimilar(float32([1, 1], [1, 2]), float32([0, 1, 1, 1, 2, 2], [3, 2]))]).to.deep.equal([1]);
  });

  it('counts the queries that find their own', () => {
    expect(retrievalAtOne(at(1, 91, 181, 10), at(0, 90, 180, 270))).to.equal(3 / 4);
  });

  it('counts another pair of the same caption as one’s own', () => {
    const [queries, gallery] = [at(1, 2, 181), at(0, 90, 180)];
    expect(retrievalAtOne(queries, gallery)).to.equal(2 / 3);
    expect(retrievalAtOne(queries, gallery, ['a', 'a', 'b'])).to.equal(1);
    expect(retrievalAtOne(queries, gallery, ['a', 'b', 'a'])).to.equal(2 / 3);
  });

  const said = [{color: 'red', noun: 'cat'}, {color: 'blue', noun: 'cat'}, {noun: 'dog'}] as const;
  const shown = [
    {color: 'red', noun: 'cat'},
    {color: 'blue', noun: 'cat'},
    {color: 'red', noun: 'dog'},
  ] as const;

  it('tells attribute by attribute what is found, of those that are mentioned', () => {
    // The first two find each other's video: the noun is right, the colour is not.
    const {color, noun} = attributeRetrieval(at(91, 1, 181), at(0, 90, 180), said, shown);
    expect(color).to.deep.equal({count: 2, accuracy: 0, hits: [0, 0, null]});
    expect(noun).to.deep.equal({count: 3, accuracy: 1, hits: [1, 1, 1]});
  });

  it('shows a map that exchanges two colours', () => {
    const [text, exchanged, videos] = [at(1, 91, 181), at(91, 1, 181), at(0, 90, 180)];
    expect(attributeShift(text, exchanged, videos, said, shown)).to.deep.equal({
      color: {count: 2, before: 1, after: 0, lost: 2, gained: 0},
      noun: {count: 3, before: 1, after: 1, lost: 0, gained: 0},
    });
    expect(attributeShift(exchanged, text, videos, said, shown)['color']).to.include({before: 0, after: 1, lost: 0, gained: 2});
  });

  it('refuses what does not fit', () => {
    expect(() => retrievalAtOne(at(1, 2), at(1))).to.throw(ShapeError, /wanted 2 pairs; got 1 rows/);
    expect(() => retrievalAtOne(at(1, 2), at(1, 2), ['a'])).to.throw(ShapeError, /1 labels/);
    expect(() => mostSimilar(at(1), float32([1, 2, 3], [1, 3]))).to.throw(ShapeError, /as wide as the queries/);
    expect(() => attributeRetrieval(at(1), at(1), [], shown)).to.throw(ShapeError, /got 0 and 3/);
  });
});
