/** Every figure of the monitor on clips for which it can be told by hand. */
import {expect} from 'chai';
import {darkShare, groupDiversity, highFrequencyShare, motion, saturation} from '../../src/evaluate/clipFigures.js';
import {ndarray, sizeOf, type NdArray} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';

type Colour = readonly [number, number, number];

/** Clips drawn by a function of clip, frame, row and column. */
function clips(
  [count, frames, height, width]: readonly number[],
  of: (clip: number, frame: number, y: number, x: number) => Colour,
): NdArray<'float32'> {
  const data: number[] = [];
  for (let b = 0; b < count; b++)
    for (let f = 0; f < frames; f++)
      for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) data.push(...of(b, f, y, x));
  return ndarray('float32', [count, frames, height, width, 3], Float32Array.from(data));
}
const grey = (value: number): Colour => [value, value, value];

describe('evaluate/clipFigures', () => {
  it('darkShare counts pixels by luminance: blue is dark where green is not', () => {
    const row: Colour[] = [grey(-1), grey(1), [-1, -1, 1], [-1, 1, -1]];
    expect(darkShare(clips([2, 1, 1, 4], (_b, _f, _y, x) => row[x]))).to.equal(0.5);
    expect(darkShare(clips([1, 1, 1, 1], () => grey(-0.79)))).to.equal(0);
    expect(darkShare(clips([1, 1, 1, 1], () => grey(-0.81)))).to.equal(1);
  });

  it('saturation is the distance of the largest from the smallest channel', () => {
    const row: Colour[] = [grey(0.3), [1, -1, 0], [0.5, 0.25, 0], [-1, -1, -0.5]];
    expect(saturation(clips([1, 2, 1, 4], (_b, _f, _y, x) => row[x]))).to.be.closeTo((0 + 1 + 0.25 + 0.25) / 4, 1e-7);
  });

  it('motion is the mean step of a pixel between frames, of each clip by itself', () => {
    // Half of the pixels rise by 0.2 a frame; from clip to clip everything jumps, which is no motion.
    const moving = clips([2, 5, 2, 2], (b, f, y) => grey(b === 0 ? (y === 1 ? 0.2 * f - 1 : 0) : 1));
    expect(motion(moving)).to.be.closeTo((0.5 * 0.1 + 0) / 2, 1e-7);
    expect(motion(clips([2, 1, 2, 2], (b) => grey(b)))).to.equal(0);
  });

  it('highFrequencyShare is 0 for blocks, 1 for a grid, 3/4 for white noise and 0 for nothing', () => {
    const side = [1, 2, 8, 8];
    const block = (y: number, x: number): number => ((y >> 1) + (x >> 1)) % 2;
    expect(highFrequencyShare(clips(side, (_b, _f, y, x) => grey(block(y, x))))).to.equal(0);
    expect(highFrequencyShare(clips(side, (_b, _f, y, x) => grey((y + x) % 2)))).to.be.closeTo(1, 1e-12);
    // Variances of two patterns that know nothing of each other add.
    expect(highFrequencyShare(clips(side, (_b, _f, y, x) => grey(0.3 * ((y + x) % 2) + 0.4 * block(y, x))))).to.be.closeTo(
      0.09 / (0.09 + 0.16),
      1e-6,
    );
    expect(highFrequencyShare(clips(side, () => grey(0.3)))).to.equal(0);
    const noise = normals({seed: 1, purpose: 'clips'}, new Float32Array(64 * 64 * 4));
    expect(highFrequencyShare(clips([1, 4, 64, 64], (_b, f, y, x) => grey(noise[(f * 64 + y) * 64 + x])))).to.be.closeTo(
      0.75,
      0.01,
    );
  });

  it('groupDiversity compares the clips of a prompt with each other and with no others', () => {
    const levels = [-1, 0, 1, 0.5, 0.5, 0.5];
    const six = clips([6, 2, 2, 2], (b) => grey(levels[b]));
    expect(groupDiversity(six, 3)).to.be.closeTo((0.5 + 1 + 0.5) / 6, 1e-7);
    expect(sizeOf(six.shape)).to.equal(six.data.length);
    // A root of a mean of squares: a quarter of the pixels differs by 2, which is 1 on values from 0 to 1.
    expect(
      groupDiversity(
        clips([2, 1, 2, 2], (b, _f, y, x) => grey(b === 1 && y + x === 0 ? 1 : -1)),
        2,
      ),
    ).to.be.closeTo(0.5, 1e-7);
  });
});
