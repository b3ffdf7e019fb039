import {expect} from 'chai';
import {NORMALS_PER_CALL, normalKernel} from '../../src/tensor/normalKernel.js';
import {philoxStream} from '../../src/tensor/random.js';

describe('normalKernel', () => {
  const kernel = normalKernel(0xd2511f53, 0xcd9e8d57, 0x9e3779b9, 0xbb67ae85);

  /** Box-Muller with the runtime's own functions, quadrant by quadrant. */
  function pair(first: number, second: number): [number, number] {
    const radius = Math.sqrt(-2 * Math.log((first + 0.5) / 2 ** 32));
    const angle = ((second & 0x3fffffff) - 2 ** 29) * (Math.PI / 2 ** 31) + (second >>> 30) * (Math.PI / 2);
    return [radius * Math.sin(angle), radius * Math.cos(angle)];
  }

  it('is Box-Muller of the words of the stream, to the rounding of a float', () => {
    for (const n0 of [0, 2048, 4_000_000_000]) {
      const words = philoxStream([n0, 5, 6, 0xfffffff0], [11, 0xfedcba98], new Uint32Array(NORMALS_PER_CALL));
      const found = kernel(NORMALS_PER_CALL, [n0, 5, 6, 0xfffffff0], [11, 0xfedcba98]);
      for (let i = 0; i < words.length; i += 2) {
        // A rotation by quadrants: (cos, sin) of the whole angle, in the order in which the stream gives them.
        const [sin, cos] = pair(words[i], words[i + 1]);
        expect(Math.abs(found[i] - cos), `element ${i}`).to.be.below(5e-7);
        expect(Math.abs(found[i + 1] - sin), `element ${i + 1}`).to.be.below(5e-7);
      }
    }
  });

  it('gives the same elements whatever the length asked for', () => {
    const all = kernel(64, [1, 2, 3, 4], [5, 6]).slice();
    for (const n of [1, 4, 15, 17]) expect([...kernel(n, [1, 2, 3, 4], [5, 6])]).to.deep.equal([...all.subarray(0, n)]);
  });
});
