import {expect} from 'chai';
import fc from 'fast-check';
import {bfloat16ToFloat32, float16Max, float16ToFloat32, float32ToFloat16} from '../../src/tensor/float16.js';

/** All 65,536 patterns of 16 bits. */
const all = Uint16Array.from({length: 65536}, (_, i) => i);

/** The definition of binary16, in float64, from the bit string. */
function binary16(bits: number): number {
  const text = bits.toString(2).padStart(16, '0');
  const sign = text[0] === '1' ? -1 : 1;
  const exponent = parseInt(text.slice(1, 6), 2);
  const fraction = parseInt(text.slice(6), 2) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -14 : sign * (1 + fraction) * 2 ** (exponent - 15);
}

/** Non-negative finite float16 values in rising order; the index is the bit pattern. */
const ascending = Array.from({length: 0x7c00}, (_, bits) => binary16(bits));

/** Nearest float16 by searching the table, ties to the even pattern; the reference for rounding. */
function nearest(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  let low = 0;
  let high = ascending.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (ascending[middle] <= magnitude) low = middle;
    else high = middle;
  }
  const below = magnitude - ascending[low];
  const above = ascending[high] - magnitude;
  const best = below < above ? low : above < below ? high : low % 2 === 0 ? low : high;
  return sign | best;
}

describe('tensor/float16', () => {
  it('widens all 65,536 patterns as the definition says', () => {
    const wide = float16ToFloat32(all);
    for (const bits of all) expect(Object.is(wide[bits], binary16(bits)), `bits ${bits.toString(16)}`).to.equal(true);
  });

  it('returns every pattern that is not NaN unchanged', () => {
    const back = float32ToFloat16(float16ToFloat32(all));
    for (const bits of all) {
      if (Number.isNaN(binary16(bits))) expect(Number.isNaN(binary16(back[bits]))).to.equal(true);
      else expect(back[bits]).to.equal(bits);
    }
  });

  it('rounds every midpoint of two neighbours to the even one, and a hair beside it to the nearer', () => {
    const word = new Uint32Array(1);
    const real = new Float32Array(word.buffer);
    for (let low = 0; low < ascending.length - 1; low++) {
      real[0] = (ascending[low] + ascending[low + 1]) / 2; // exact in float32
      const middle = word[0];
      word[0] = middle - 1;
      const below = real[0];
      word[0] = middle + 1;
      const above = real[0];
      word[0] = middle;
      const got = float32ToFloat16(Float32Array.of(below, real[0], above, -real[0]));
      const even = low % 2 === 0 ? low : low + 1;
      expect([...got]).to.deep.equal([low, even, low + 1, 0x8000 | even]);
    }
  });

  it('agrees with a search of the table on random float32 values', () => {
    fc.assert(
      fc.property(fc.float({noNaN: true, min: -70000, max: 70000}), (value) => {
        expect(float32ToFloat16(Float32Array.of(value))[0]).to.equal(nearest(value));
      }),
      {numRuns: 5000},
    );
  });

  it('keeps 65504, makes 65520 infinite and 65519 not, and keeps NaN', () => {
    expect([...float32ToFloat16(Float32Array.of(float16Max, 65520, 65519, -1e30, NaN))]).to.deep.equal([
      0x7bff, 0x7c00, 0x7bff, 0xfc00, 0x7e00,
    ]);
  });

  it('widens all bfloat16 patterns to the float32 whose upper half they are', () => {
    const wide = bfloat16ToFloat32(all);
    const view = new DataView(new ArrayBuffer(4));
    for (const bits of all) {
      view.setUint16(0, bits);
      view.setUint16(2, 0);
      expect(Object.is(wide[bits], view.getFloat32(0))).to.equal(true);
    }
  });
});
