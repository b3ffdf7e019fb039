import {expect} from 'chai';
import sharp from 'sharp';
import {ShapeError} from '../../src/errors.js';
import {wrapText} from '../../src/report/canvas.js';
import {glyph, glyphOf, printable} from '../../src/report/font.js';
import {animatedGif, animatedSheet, animatedWebp, clipOf, contactSheet, type Picture} from '../../src/report/pictures.js';
import {toBytes} from '../../src/tensor/pixels.js';
import {float32, ndarray, type NdArray} from '../../src/tensor/ndarray.js';

/** A clip in which every value says where it stands. */
function clip(frames: number, height: number, width: number, channels: number, seed = 0): NdArray<'uint8'> {
  const data = Uint8Array.from({length: frames * height * width * channels}, (_, i) => (i * 37 + seed) % 251);
  return ndarray('uint8', [frames, height, width, channels], data);
}

interface Decoded {
  readonly frames: number;
  readonly height: number;
  readonly width: number;
  at(frame: number, y: number, x: number): number[];
}

/** Reads a picture with sharp's decoder: libwebp, libpng or nsgif. */
async function decoded({bytes}: Picture): Promise<Decoded> {
  const image = sharp(bytes, {animated: true});
  const {pages = 1, pageHeight} = await image.metadata();
  const {data, info} = await image.removeAlpha().toColourspace('srgb').raw().toBuffer({resolveWithObject: true});
  const height = pageHeight ?? info.height;
  return {
    frames: pages,
    height,
    width: info.width,
    at: (frame, y, x) => [...data.subarray(((frame * height + y) * info.width + x) * 3).subarray(0, 3)],
  };
}

describe('report/pictures', () => {
  it('stores every pixel of an animated WebP as a square of its own colour', async () => {
    const source = clip(3, 5, 7, 3);
    const picture = await decoded(await animatedWebp(source, {minimumSide: 20}));
    expect([picture.frames, picture.height, picture.width]).to.deep.equal([3, 20, 28]);
    for (let f = 0; f < 3; f++) {
      for (let y = 0; y < 20; y++) {
        for (let x = 0; x < 28; x++) {
          const at = ((f * 5 + Math.floor(y / 4)) * 7 + Math.floor(x / 4)) * 3;
          expect(picture.at(f, y, x)).to.deep.equal([...source.data.subarray(at, at + 3)]);
        }
      }
    }
  });

  it('enlarges by a whole factor to at least 128 pixels, and never shrinks', async () => {
    const small = await animatedWebp(clip(2, 24, 24, 3));
    const large = await animatedWebp(clip(2, 130, 200, 3));
    expect([small.width, small.height]).to.deep.equal([144, 144]);
    expect([large.width, large.height]).to.deep.equal([200, 130]);
  });

  it('plays at the speed asked for, for ever', async () => {
    const {delay, loop} = await sharp((await animatedWebp(clip(3, 4, 4, 3), {framesPerSecond: 4})).bytes).metadata();
    expect(delay).to.deep.equal([250, 250, 250]);
    expect(loop).to.equal(0);
  });

  it('shows grey clips as grey', async () => {
    const source = clip(1, 2, 2, 1);
    const picture = await decoded(await animatedWebp(source, {minimumSide: 2}));
    expect(picture.at(0, 1, 1)).to.deep.equal(Array.from({length: 3}, () => source.data[3]));
  });

  it('writes a GIF that has all frames', async () => {
    const picture = await animatedGif(clip(4, 8, 8, 3));
    expect(Buffer.from(picture.bytes).toString('latin1', 0, 6)).to.equal('GIF89a');
    expect(await decoded(picture)).to.deep.include({frames: 4, height: 128, width: 128});
  });

  it('turns [-1, 1] into 0 to 255, rounded and clamped', () => {
    const bytes = toBytes(float32([-1, 1, 0, -2, 5, NaN, 2 / 255 - 1, -0.5], [1, 1, 2, 4, 1]));
    expect([...bytes.data]).to.deep.equal([0, 255, 128, 0, 255, 0, 1, 64]);
    expect(bytes.shape).to.deep.equal([1, 1, 2, 4, 1]);
  });

  it('gives every byte back from the value that stands for it', () => {
    const bytes = Uint8Array.from({length: 256}, (_, i) => i);
    expect(toBytes(float32(Array.from(bytes, (b) => b / 127.5 - 1))).data).to.deep.equal(bytes);
  });

  it('takes one clip out of a batch', () => {
    const batch = ndarray('uint8', [2, 1, 1, 2, 1], Uint8Array.of(1, 2, 3, 4));
    expect(clipOf(batch, 1)).to.deep.equal(ndarray('uint8', [1, 1, 2, 1], Uint8Array.of(3, 4)));
  });

  describe('a sheet', () => {
    const rows = [
      {caption: 'a red boat', clips: [clip(9, 4, 4, 3, 1), clip(9, 4, 4, 3, 2)]},
      {caption: 'two cats', clips: [clip(9, 4, 4, 3, 3), clip(9, 4, 4, 3, 4)]},
    ];

    it('has rows of clips and columns of frames, the first and the last among them', async () => {
      const picture = await decoded(await contactSheet(rows, {frames: 3, minimumSide: 40}));
      const [margin, gap, side, rowHeight] = [20, 4, 40, 40 + 4 + 20 + 20];
      const group = 3 * side + 2 * gap;
      rows.forEach((row, r) => {
        row.clips.forEach((one, c) => {
          [0, 4, 8].forEach((frame, i) => {
            const at = frame * 4 * 4 * 3;
            const seen = picture.at(0, margin + r * rowHeight, margin + c * (group + 20) + i * (side + gap));
            expect(seen, `row ${r}, clip ${c}, frame ${frame}`).to.deep.equal([...one.data.subarray(at, at + 3)]);
          });
        });
      });
    });

    it('has its captions and headings where a reader looks, letter by letter', async () => {
      const picture = await decoded(await contactSheet(rows, {headings: ['before', 'after'], minimumSide: 72}));
      const read = (x: number, y: number, length: number): string =>
        Array.from({length}, (_, i) => {
          const seen = Array.from({length: glyph.height}, (_, dy) =>
            Array.from({length: glyph.width}, (_, dx) => picture.at(0, y + 2 * dy, x + 2 * (i * glyph.advance + dx))[0] < 128),
          );
          const code = Array.from({length: 95}, (_, c) => c + 32).find(
            (c) => glyphOf(String.fromCharCode(c)).join() === seen.join(),
          );
          return String.fromCharCode(code ?? 0);
        }).join('');
      const group = 8 * 72 + 7 * 4;
      expect(read(20, 20, 6)).to.equal('before');
      expect(read(20 + group + 20, 20, 5)).to.equal('after');
      expect(read(20, 20 + 24 + 72 + 4, 10)).to.equal('a red boat');
      expect(read(20, 20 + 24 + (72 + 4 + 20 + 20) + 72 + 4, 8)).to.equal('two cats');
    });

    it('plays when it is animated', async () => {
      const picture = await decoded(await animatedSheet(rows, {minimumSide: 4}));
      expect(picture.frames).to.equal(9);
      for (const frame of [0, 8])
        expect(picture.at(frame, 20, 20)).to.deep.equal([...rows[0].clips[0].data.subarray(frame * 48, frame * 48 + 3)]);
    });

    it('refuses to be empty, clips of two sizes, and what is not a clip', async () => {
      const message = async (work: Promise<unknown>): Promise<string> =>
        work.then(
          () => 'no error',
          (error: unknown) => (error instanceof ShapeError ? error.message : 'another error'),
        );
      expect(await message(contactSheet([]))).to.match(/at least one row/);
      expect(await message(contactSheet([{caption: '', clips: [clip(1, 2, 2, 3), clip(1, 2, 3, 3)]}]))).to.match(
        /do not go together/,
      );
      expect(await message(contactSheet([{caption: '', clips: [clip(1, 2, 2, 2)]}]))).to.match(
        /wanted a clip .*got uint8 \[1, 2, 2, 2\]/,
      );
    });
  });
});

describe('report/font', () => {
  const all = Array.from({length: 95}, (_, i) => String.fromCharCode(i + 32));

  it('has 95 different glyphs of 5 × 8 points, blank only for the space', () => {
    const drawn = all.map((character) => glyphOf(character));
    for (const rows of drawn) expect(rows.map((row) => row.length)).to.deep.equal(Array.from({length: 8}, () => 5));
    expect(new Set(drawn.map(String)).size).to.equal(95);
    expect(drawn.filter((rows) => !rows.flat().includes(true))).to.have.length(1);
  });

  it('shows a question mark for what it lacks, and drops accents', () => {
    expect(glyphOf('漢')).to.deep.equal(glyphOf('?'));
    expect(printable('café → ±1')).to.equal('cafe -> +-1');
  });

  it('breaks lines at spaces, splits long words, and ends in dots what does not fit', () => {
    expect(wrapText('a red boat sails', 60, 1, 9)).to.deep.equal(['a red boat', 'sails']);
    expect(wrapText('abcdefghijklmno', 60, 1, 9)).to.deep.equal(['abcdefghij', 'klmno']);
    expect(wrapText('a red boat sails away for ever', 60, 1, 2)).to.deep.equal(['a red boat', 'sails a...']);
    expect(wrapText('', 60, 1, 2)).to.deep.equal([]);
  });
});
