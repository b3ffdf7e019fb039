import {expect} from 'chai';
import fc from 'fast-check';
import {CorruptFileError, ShapeError} from '../../src/errors.js';
import {float32, int32, ndarray, type NdArray} from '../../src/tensor/ndarray.js';
import {decodeSafetensors, encodeSafetensors, maxHeaderBytes} from '../../src/tensor/safetensors.js';
import {leaves, type Params} from '../../src/tensor/tree.js';

const joined = (pieces: readonly Uint8Array[]): Uint8Array => Uint8Array.from(pieces.flatMap((p) => [...p]));

/** A file made by hand from its specification, so that a reader is not checked against its own writer. */
function file(header: unknown, data: Uint8Array = new Uint8Array(), claim?: bigint): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, claim ?? BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

const sample: Params = {
  blocks: {'0': {weight: float32([1, -2.5, 3e-5, 0], [2, 2]), steps: int32([7, -8])}},
  mask: ndarray('bool', [3], Uint8Array.of(1, 0, 1)),
  pixel: ndarray('uint8', [1, 2], Uint8Array.of(255, 3)),
  scalar: float32([4], []),
};

/** What the tree holds, in a form that compares bit for bit. */
const content = (params: Params): unknown =>
  Object.fromEntries(
    leaves(params).map(([path, a]) => [
      path,
      [a.dtype, [...a.shape], a.data.constructor.name, [...a.data].map((v) => (Object.is(v, -0) ? '-0' : v))],
    ]),
  );

/** Written by the Python library safetensors (numpy): b.w float16 [[1.5, 2]], i int32 3, u uint8 [0, 1, 2, 3], metadata z: 1. */
const fromPython = Buffer.from(
  'wAAAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJ6IjoiMSJ9LCJpIjp7ImR0eXBlIjoiSTMyIiwic2hhcGUiOltdLCJkYXRhX29mZnNldHMiOlswLD' +
    'RdfSwiYi53Ijp7ImR0eXBlIjoiRjE2Iiwic2hhcGUiOlsxLDJdLCJkYXRhX29mZnNldHMiOls0LDhdfSwidSI6eyJkdHlwZSI6IlU4Iiwic2hh' +
    'cGUiOls0XSwiZGF0YV9vZmZzZXRzIjpbOCwxMl19fSAgICADAAAAAD4AQAABAgM=',
  'base64',
);

describe('tensor/safetensors', () => {
  it('reads a file that the Python library wrote, from a Buffer whose memory is shared', () => {
    const {params, metadata} = decodeSafetensors(fromPython, 'py');
    expect(metadata).to.deep.equal({z: '1'});
    expect(content(params)).to.deep.equal({
      'b.w': ['float32', [1, 2], 'Float32Array', [1.5, 2]],
      i: ['int32', [], 'Int32Array', [3]],
      u: ['uint8', [4], 'Uint8Array', [0, 1, 2, 3]],
    });
  });

  it('reads a file laid out by hand from the specification', () => {
    const data = new Uint8Array(18);
    const view = new DataView(data.buffer);
    view.setFloat32(0, 1.5, true);
    view.setInt32(4, -3, true);
    view.setUint16(8, 0x3e00, true); // float16 1.5
    view.setUint16(10, 0xc020, true); // bfloat16 -2.5
    data.set([9, 1, 0, 1, 7, 8], 12);
    const bytes = file(
      {
        __metadata__: {made: 'by hand'},
        'a.real': {dtype: 'F32', shape: [1], data_offsets: [0, 4]},
        'a.count': {dtype: 'I32', shape: [1, 1], data_offsets: [4, 8]},
        half: {dtype: 'F16', shape: [], data_offsets: [8, 10]},
        brain: {dtype: 'BF16', shape: [1], data_offsets: [10, 12]},
        byte: {dtype: 'U8', shape: [1], data_offsets: [12, 13]},
        flags: {dtype: 'BOOL', shape: [3], data_offsets: [13, 16]},
        other: {dtype: 'U8', shape: [2], data_offsets: [16, 18]},
      },
      data,
    );
    const {params, metadata} = decodeSafetensors(bytes, 'x');
    expect(metadata).to.deep.equal({made: 'by hand'});
    expect(content(params)).to.deep.equal({
      'a.real': ['float32', [1], 'Float32Array', [1.5]],
      'a.count': ['int32', [1, 1], 'Int32Array', [-3]],
      half: ['float32', [], 'Float32Array', [1.5]],
      brain: ['float32', [1], 'Float32Array', [-2.5]],
      byte: ['uint8', [1], 'Uint8Array', [9]],
      flags: ['bool', [3], 'Uint8Array', [1, 0, 1]],
      other: ['uint8', [2], 'Uint8Array', [7, 8]],
    });
  });

  it('writes a header that is a multiple of 8 bytes, with each tensor at a multiple of its element', () => {
    const bytes = joined(encodeSafetensors(sample, {metadata: {note: 'é'}}));
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<
      string,
      {data_offsets: number[]}
    >;
    expect(length % 8).to.equal(0);
    expect(header['__metadata__']).to.deep.equal({note: 'é'});
    expect(header['blocks.0.weight']).to.deep.equal({dtype: 'F32', shape: [2, 2], data_offsets: [0, 16]});
    expect(header['blocks.0.steps'].data_offsets[0] % 4).to.equal(0);
    expect(header['mask']).to.deep.include({dtype: 'BOOL', shape: [3]});
  });

  it('reads back what it wrote, whatever the tree, the shapes and the bits', () => {
    const shape = fc.array(fc.integer({min: 0, max: 4}), {maxLength: 4});
    const array = fc.oneof(
      shape.chain((s) => fc.float32Array({...sized(s)}).map((d): NdArray => ndarray('float32', s, Float32Array.from(d)))),
      shape.chain((s) => fc.int32Array({...sized(s)}).map((d): NdArray => ndarray('int32', s, Int32Array.from(d)))),
      shape.chain((s) => fc.uint8Array({...sized(s)}).map((d): NdArray => ndarray('uint8', s, Uint8Array.from(d)))),
      shape.chain((s) => fc.uint8Array({...sized(s), max: 1}).map((d): NdArray => ndarray('bool', s, Uint8Array.from(d)))),
    );
    const key = fc.string({minLength: 1, maxLength: 6}).filter((k) => !k.includes('.') && !k.startsWith('__'));
    const tree = fc.dictionary(key, fc.oneof(array, fc.dictionary(key, array, {minKeys: 1})), {maxKeys: 6});
    fc.assert(
      fc.property(tree, fc.dictionary(fc.string(), fc.string()), (params, metadata) => {
        const got = decodeSafetensors(joined(encodeSafetensors(params, {metadata})), 'x');
        expect(content(got.params)).to.deep.equal(content(params));
        expect({...got.metadata}).to.deep.equal({...metadata});
      }),
      {numRuns: 300},
    );
    function sized(s: readonly number[]): {minLength: number; maxLength: number} {
      const n = s.reduce((a, b) => a * b, 1);
      return {minLength: n, maxLength: n};
    }
  });

  it('halves float32 when F16 is asked for, and leaves other types', () => {
    const bytes = joined(encodeSafetensors({w: float32([0.1, 65504, NaN, -Infinity]), n: int32([1])}, {floats: 'F16'}));
    const {params} = decodeSafetensors(bytes, 'x');
    expect([...(params['w'] as NdArray).data]).to.deep.equal([0.0999755859375, 65504, NaN, -Infinity]);
    expect((params['n'] as NdArray).dtype).to.equal('int32');
  });

  it('refuses to write a finite value as an infinite float16, a reserved name, and a name twice', () => {
    expect(() => encodeSafetensors({w: float32([65505])}, {floats: 'F16'})).to.throw(ShapeError, /"w" holds 65505/);
    expect(() => encodeSafetensors({__metadata__: float32([1])})).to.throw(ShapeError, /cannot be the name/);
    expect(() => encodeSafetensors({'a.b': float32([1]), a: {b: float32([2])}})).to.throw(ShapeError, /two tensors/);
  });

  const u8 = (begin: number, end: number, shape: unknown = [end - begin]): object => ({
    dtype: 'U8',
    shape,
    data_offsets: [begin, end],
  });
  const faults: [title: string, bytes: Uint8Array, says: RegExp][] = [
    ['an empty file', new Uint8Array(), /0 bytes, fewer than 8/],
    ['seven bytes', new Uint8Array(7), /7 bytes, fewer than 8/],
    ['a header longer than the file', file('{}', new Uint8Array(), 3n), /truncated/],
    ['a header beyond the bound', file('{}', new Uint8Array(), BigInt(maxHeaderBytes) + 1n), /at most/],
    ['a header of 2^63 bytes', file('{}', new Uint8Array(), 2n ** 63n), /at most/],
    ['text that is not JSON', file('{"a":'), /not JSON/],
    ['bytes that are not UTF-8', file('{}').map((b, i) => (i === 8 ? 0xff : b)), /not JSON/],
    ['a list for a header', file([]), /not a JSON object/],
    ['metadata that is not strings', file({__metadata__: {a: 1}}), /__metadata__/],
    ['an unknown type', file({a: {dtype: 'F12', shape: [], data_offsets: [0, 0]}}), /unknown type "F12"/],
    ['a type from the prototype', file({a: {dtype: 'toString', shape: [], data_offsets: [0, 0]}}), /unknown type/],
    ['a missing type', file({a: {shape: [], data_offsets: [0, 0]}}), /unknown type/],
    ['a negative dimension', file({a: u8(0, 1, [-1])}, new Uint8Array(1)), /shape/],
    ['a fractional dimension', file({a: u8(0, 1, [0.5])}, new Uint8Array(1)), /shape/],
    ['a shape that overflows', file({a: u8(0, 1, [2 ** 40, 2 ** 40])}, new Uint8Array(1)), /span 1/],
    ['offsets that fall', file({a: {dtype: 'U8', shape: [1], data_offsets: [1, 0]}}, new Uint8Array(1)), /span -1/],
    ['three offsets', file({a: {dtype: 'U8', shape: [1], data_offsets: [0, 1, 2]}}, new Uint8Array(1)), /two counts/],
    ['a size that is not the shape', file({a: u8(0, 3, [2])}, new Uint8Array(3)), /2 bytes; its data_offsets span 3/],
    ['a hole', file({a: u8(0, 2), b: u8(3, 4)}, new Uint8Array(4)), /"b" begins at byte 3, where 2 was due/],
    ['an overlap', file({a: u8(0, 2), b: u8(1, 4)}, new Uint8Array(4)), /"b" begins at byte 1, where 2 was due/],
    ['one place for two', file({a: u8(0, 2), b: u8(0, 2)}, new Uint8Array(2)), /overlap/],
    ['a hole at the beginning', file({a: u8(1, 2)}, new Uint8Array(2)), /where 0 was due/],
    ['missing data', file({a: u8(0, 4)}, new Uint8Array(3)), /truncated/],
    ['a name of two lines', file({'a\nb': u8(0, 4)}, new Uint8Array(5).fill(1)), /altered/],
    ['a hole after a name of two lines', file({'a\nb': u8(1, 4)}, new Uint8Array(4)), /a\\nb/],
    ['data too many', file({a: u8(0, 4)}, new Uint8Array(5)), /altered/],
    ['a name that reaches the prototype', file({'a.__proto__.b': u8(0, 1)}, new Uint8Array(1)), /not allowed/],
    ['an empty name', file({'': u8(0, 1)}, new Uint8Array(1)), /not allowed/],
    ['a leaf that is also a branch', file({a: u8(0, 1), 'a.b': u8(1, 2)}, new Uint8Array(2)), /do not make a tree/],
    ['a type that is not read', file({a: {dtype: 'F64', shape: [1], data_offsets: [0, 8]}}, new Uint8Array(8)), /is F64; F32/],
    ['a bool that is 2', file({a: {dtype: 'BOOL', shape: [1], data_offsets: [0, 1]}}, Uint8Array.of(2)), /neither 0 nor 1/],
  ];
  for (const [title, bytes, says] of faults) {
    it(`refuses ${title} in one line that names the file`, () => {
      expect(() => decodeSafetensors(bytes, 'weights.safetensors'))
        .to.throw(CorruptFileError, says)
        .with.property('message')
        .that.matches(/^weights\.safetensors: [^\n]+$/);
    });
  }

  it('never pollutes a prototype through names', () => {
    const bytes = file({'constructor.prototype.evil': u8(0, 1), toString: u8(1, 2)}, Uint8Array.of(5, 6));
    const {params} = decodeSafetensors(bytes, 'x');
    expect(({} as Record<string, unknown>)['evil']).to.equal(undefined);
    expect(leaves(params).map(([path]) => path)).to.deep.equal(['constructor.prototype.evil', 'toString']);
  });

  it('answers any change of bytes with CorruptFileError or a file that fits its header', () => {
    const good = joined(encodeSafetensors({...sample, large: float32(new Float32Array(200))}, {metadata: {k: 'v'}}));
    const edit = fc.record({at: fc.nat(good.length - 1), value: fc.nat(255)});
    const counts = {refused: 0, read: 0};
    fc.assert(
      fc.property(fc.array(edit, {minLength: 1, maxLength: 4}), fc.option(fc.nat(good.length), {freq: 1}), (edits, cut) => {
        const bytes = good.slice(0, cut ?? good.length);
        for (const {at, value} of edits) if (at < bytes.length) bytes[at] = value;
        try {
          const {params} = decodeSafetensors(bytes, 'x');
          for (const [, a] of leaves(params)) expect(a.data.length).to.equal(a.shape.reduce((n, d) => n * d, 1));
          counts.read++;
        } catch (error) {
          expect(error).to.be.instanceOf(CorruptFileError);
          counts.refused++;
        }
      }),
      {numRuns: 3000},
    );
    expect(counts.read).to.be.greaterThan(300);
    expect(counts.refused).to.be.greaterThan(1000);
  });
});
