import {expect} from 'chai';
import {neighbourhoods} from '../../src/study/neighbourhoods.js';
import {ndarray} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';

describe('neighbourhoods', () => {
  const [perGroup, width] = [25, 8];
  /** Three groups along three axes, far apart for their size. */
  const data = normals({seed: 1, purpose: 'groups'}, new Float32Array(3 * perGroup * width)).map((z, i) => {
    const group = Math.floor(i / (perGroup * width));
    return 0.1 * z + (i % width === group ? 3 : 0);
  });
  const vectors = ndarray('float32', [3 * perGroup, width], data);

  it('keeps groups together and apart', () => {
    const plane = neighbourhoods(vectors, 0);
    expect(plane.length).to.equal(2 * 3 * perGroup);
    const squared = (i: number, j: number): number =>
      (plane[2 * i] - plane[2 * j]) ** 2 + (plane[2 * i + 1] - plane[2 * j + 1]) ** 2;
    const others = (i: number): number[] => Array.from({length: 3 * perGroup}, (_, j) => j).filter((j) => j !== i);
    for (let i = 0; i < 3 * perGroup; i++) {
      const nearest = others(i)
        .sort((a, b) => squared(i, a) - squared(i, b))
        .slice(0, 10);
      const same = nearest.filter((j) => Math.floor(j / perGroup) === Math.floor(i / perGroup)).length;
      expect(same, `of the ten neighbours of ${i}`).to.equal(10);
    }
  });

  it('is the same for a seed', () => {
    expect([...neighbourhoods(vectors, 3)]).to.deep.equal([...neighbourhoods(vectors, 3)]);
    expect([...neighbourhoods(vectors, 3)]).not.to.deep.equal([...neighbourhoods(vectors, 4)]);
  });
});
