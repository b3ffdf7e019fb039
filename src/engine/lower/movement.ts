/** Kernels that move, repeat or make elements without computing. */
import * as tf from '@tensorflow/tfjs-core';
import {UnsupportedOpError} from '../../errors.js';
import {sizeOf} from '../../tensor/ndarray.js';
import type {Graph, GraphDType, Value} from '../graph.js';
import {axesOf, axisOf, by, expand, listOf, pad, reshape, slice, transpose, type Lowerings} from './lowering.js';

type Pairs = readonly (readonly [number, number])[];

/** Where -1 stands in a shape, the number that makes the size right. */
function complete(shape: readonly number[], size: number): number[] {
  const rest = shape.reduce((n, d) => (d === -1 ? n : n * d), 1);
  return shape.map((d) => (d === -1 ? size / rest : d));
}

/** The part sizes of a split, given as sizes with at most one -1 or as a number of equal parts. */
function splitSizes(given: readonly number[] | number, total: number): number[] {
  if (typeof given === 'number') return Array.from({length: given}, () => total / given);
  const rest = given.reduce((n, d) => (d === -1 ? n : n + d), 0);
  return given.map((d) => (d === -1 ? total - rest : d));
}

function concat(graph: Graph, all: readonly Value[], axis: number): Value {
  const parts = all.filter((v) => v.shape[axis] !== 0);
  if (parts.length <= 1) return parts[0] ?? all[0];
  const total = parts.reduce((n, v) => n + v.shape[axis], 0);
  return graph.op(
    'Concat',
    parts,
    {dtype: parts[0].dtype, shape: parts[0].shape.map((d, i) => (i === axis ? total : d))},
    {axis},
  );
}

function split(graph: Graph, x: Value, sizes: readonly number[], axis: number): readonly Value[] {
  if (sizes.length === 1) return [x];
  // onnxruntime's Split refuses empty inputs that its Slice takes.
  if (sizeOf(x.shape) === 0)
    return sizes.map((n) =>
      graph.fill(
        0,
        x.shape.map((d, i) => (i === axis ? n : d)),
        x.dtype,
      ),
    );
  const specs = sizes.map((n) => ({dtype: x.dtype, shape: x.shape.map((d, i) => (i === axis ? n : d))}));
  return graph.ops('Split', [x, graph.ints(sizes)], specs, {axis});
}

/** Continues an array by its own mirror image: along each padded axis, a gather at positions that are known beforehand. */
function mirrorPad(graph: Graph, x: Value, paddings: Pairs, withEdge: boolean): Value {
  const edge = withEdge ? 1 : 0;
  return paddings.reduce((y, [before, after], axis) => {
    if (before === 0 && after === 0) return y;
    const n = y.shape[axis];
    const at = Array.from({length: before + n + after}, (_, i) => {
      const p = i - before;
      if (p < 0) return -p - edge;
      return p >= n ? 2 * (n - 1) - p + edge : p;
    });
    const shape = y.shape.map((d, i) => (i === axis ? at.length : d));
    return graph.op('Gather', [y, graph.ints(at)], {dtype: y.dtype, shape}, {axis});
  }, x);
}

/** What `tf.stridedSlice` makes of its masks. */
function stridedSlice(graph: Graph, x: Value, attrs: Readonly<Record<string, unknown>>): Value {
  const list = (name: string): number[] => attrs[name] as number[];
  const mask = (name: string): number => attrs[name] as number;
  const info = tf.slice_util.sliceInfo(
    [...x.shape],
    list('begin'),
    list('end'),
    list('strides'),
    mask('beginMask'),
    mask('endMask'),
    mask('ellipsisMask'),
    mask('newAxisMask'),
    mask('shrinkAxisMask'),
  );
  const axes = x.shape.map((_, i) => i);
  const cut =
    sizeOf(info.finalShape) === 0
      ? graph.fill(0, info.finalShape, x.dtype)
      : slice(graph, x, axes, info.begin, info.end, info.strides);
  return reshape(graph, cut, info.finalShape);
}

function reverse(graph: Graph, x: Value, axes: readonly number[]): Value {
  if (axes.length === 0 || sizeOf(x.shape) === 0) return x;
  return slice(
    graph,
    x,
    axes,
    axes.map((a) => x.shape[a] - 1),
    axes.map(() => -1),
    axes.map(() => -1),
  );
}

/** Blocks of the spatial axes as further batch entries, and back: a reshape, a transpose and a reshape, whose shapes tfjs knows. */
function rearranged(graph: Graph, x: Value, block: number[], toSpace: boolean): Value {
  const size = sizeOf(block);
  const {getReshaped, getPermuted, getReshapedPermuted} = tf.backend_util;
  const opened = reshape(graph, x, getReshaped([...x.shape], block, size, toSpace));
  const moved = transpose(graph, opened, getPermuted(opened.shape.length, block.length, toSpace));
  return reshape(graph, moved, getReshapedPermuted([...x.shape], block, size, toSpace));
}

/** What the table of kernels says of those that make no node. */
const CONSTANT = 'a constant';

/** Their lowerings. */
export const movement: Lowerings = {
  Reshape: by('Reshape', (graph, {x}, {shape}) => reshape(graph, x, complete(shape as number[], sizeOf(x.shape)))),
  ExpandDims: by('Reshape', (graph, {input}, {dim}) => {
    const at = (dim as number) < 0 ? input.shape.length + 1 + (dim as number) : (dim as number);
    return reshape(graph, input, [...input.shape.slice(0, at), 1, ...input.shape.slice(at)]);
  }),
  Transpose: by('Transpose', (graph, {x}, {perm}) => transpose(graph, x, perm as number[])),
  Slice: by('Slice', (graph, {x}, {begin, size}) => {
    const starts = begin as number[];
    const ends = x.shape.map((d, i) => ((size as number[])[i] === -1 ? d : starts[i] + (size as number[])[i]));
    const cut = x.shape.flatMap((d, i) => (starts[i] === 0 && ends[i] === d ? [] : [i]));
    return slice(
      graph,
      x,
      cut,
      cut.map((i) => starts[i]),
      cut.map((i) => ends[i]),
    );
  }),
  StridedSlice: by('Slice', (graph, {x}, attrs) => stridedSlice(graph, x, attrs)),
  Concat: by('Concat', (graph, inputs, {axis}) => {
    const all = listOf(inputs);
    return concat(graph, all, axisOf(axis, all[0].shape.length));
  }),
  SplitV: by('Split', (graph, {x}, {numOrSizeSplits, axis}) => {
    const at = axisOf(axis, x.shape.length);
    return split(graph, x, splitSizes(numOrSizeSplits as number[] | number, x.shape[at]), at);
  }),
  Pack: by('Concat', (graph, inputs, {axis}) => {
    const parts = listOf(inputs);
    const {shape} = parts[0];
    const at = (axis as number) < 0 ? shape.length + 1 + (axis as number) : (axis as number);
    return concat(
      graph,
      parts.map((v) => reshape(graph, v, [...shape.slice(0, at), 1, ...shape.slice(at)])),
      at,
    );
  }),
  Unpack: by('Split', (graph, {value}, {axis}) => {
    const {shape} = value;
    const at = axisOf(axis, shape.length);
    const parts = split(
      graph,
      value,
      Array.from({length: shape[at]}, () => 1),
      at,
    );
    return parts.map((v) =>
      reshape(
        graph,
        v,
        shape.filter((_, i) => i !== at),
      ),
    );
  }),
  PadV2: by('Pad', (graph, {x}, {paddings, constantValue}) => {
    const p = paddings as Pairs;
    return pad(
      graph,
      x,
      p.map((q) => q[0]),
      p.map((q) => q[1]),
      (constantValue as number | undefined) ?? 0,
    );
  }),
  MirrorPad: (graph, {x}, {paddings, mode}) => mirrorPad(graph, x, paddings as Pairs, mode === 'symmetric'),
  Tile: by('Tile', (graph, {x}, {reps}) => {
    const r = reps as number[];
    const shape = x.shape.map((d, i) => d * r[i]);
    if (r.every((n, i) => n === 1 || x.shape[i] === 1)) return expand(graph, x, shape);
    return graph.op('Tile', [x, graph.ints(r)], {dtype: x.dtype, shape});
  }),
  Reverse: by('Slice', (graph, {x}, {dims}) => reverse(graph, x, axesOf(dims, x.shape.length))),
  FlipLeftRight: by('Slice', (graph, {image}) => reverse(graph, image, [2])),
  SpaceToBatchND: (graph, {x}, {blockShape, paddings}) => {
    const around = [[0, 0], ...(paddings as Pairs)] as Pairs;
    const side = (i: number, j: 0 | 1): number => around[i]?.[j] ?? 0;
    const padded = pad(
      graph,
      x,
      x.shape.map((_, i) => side(i, 0)),
      x.shape.map((_, i) => side(i, 1)),
    );
    return rearranged(graph, padded, blockShape as number[], false);
  },
  BatchToSpaceND: (graph, {x}, {blockShape, crops}) => {
    const whole = rearranged(graph, x, blockShape as number[], true);
    const c = crops as Pairs;
    const axes = c.map((_, i) => i + 1);
    return slice(
      graph,
      whole,
      axes,
      c.map((q) => q[0]),
      c.map((q, i) => whole.shape[i + 1] - q[1]),
    );
  },
  DepthToSpace: (graph, {x}, {blockSize, dataFormat}) => {
    if (dataFormat !== 'NHWC') throw new UnsupportedOpError('compile: DepthToSpace wants NHWC; transpose the input.');
    const [n, h, w, c] = x.shape as [number, number, number, number];
    const k = blockSize as number;
    const depth = c / (k * k);
    const opened = transpose(graph, reshape(graph, x, [n, h, w, k, k, depth]), [0, 1, 3, 2, 4, 5]);
    return reshape(graph, opened, [n, h * k, w * k, depth]);
  },
  Fill: by(CONSTANT, (graph, _inputs, {shape, value, dtype}) =>
    graph.fill(value as number, shape as number[], ((dtype as string | undefined) ?? 'float32') as GraphDType),
  ),
  ZerosLike: by(CONSTANT, (graph, {x}) => graph.fill(0, x.shape, x.dtype)),
  OnesLike: by(CONSTANT, (graph, {x}) => graph.fill(1, x.shape, x.dtype)),
  Range: by(CONSTANT, (graph, _inputs, {start, stop, step, dtype}) => {
    const n = Math.max(0, Math.ceil(((stop as number) - (start as number)) / (step as number)));
    const data = Array.from({length: n}, (_, i) => (start as number) + i * (step as number));
    return graph.constant(data, [n], (dtype as GraphDType | undefined) ?? 'float32');
  }),
  LinSpace: by(CONSTANT, (graph, _inputs, {start, stop, num}) => {
    const [from, to, n] = [start as number, stop as number, num as number];
    return graph.constant(
      Array.from({length: n}, (_, i) => from + (i * (to - from)) / Math.max(1, n - 1)),
      [n],
      'float32',
    );
  }),
};
