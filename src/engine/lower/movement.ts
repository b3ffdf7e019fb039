/** Kernels that move, repeat or make elements without computing. */
import {sizeOf} from '../../tensor/ndarray.js';
import type {GraphDType} from '../graph.js';
import {axesOf, listOf, reshape, transpose, type Lowerings} from './lowering.js';

/** Where -1 stands in a shape, the number that makes the size right. */
function complete(shape: readonly number[], size: number): number[] {
  const rest = shape.reduce((n, d) => (d === -1 ? n : n * d), 1);
  return shape.map((d) => (d === -1 ? size / rest : d));
}

export const movement: Lowerings = {
  Reshape: (graph, {x}, {shape}) => reshape(graph, x!, complete(shape as number[], sizeOf(x!.shape))),
  ExpandDims: (graph, {input}, {dim}) => {
    const at = (dim as number) < 0 ? input!.shape.length + 1 + (dim as number) : (dim as number);
    return reshape(graph, input!, [...input!.shape.slice(0, at), 1, ...input!.shape.slice(at)]);
  },
  Transpose: (graph, {x}, {perm}) => transpose(graph, x!, perm as number[]),
  Slice: (graph, {x}, {begin, size}) => {
    const starts = (begin as number[]).slice();
    const shape = x!.shape.map((d, i) => ((size as number[])[i] === -1 ? d - starts[i]! : (size as number[])[i]!));
    const axes = shape.flatMap((d, i) => (d === x!.shape[i] ? [] : [i]));
    if (axes.length === 0) return x!;
    return graph.op(
      'Slice',
      [x, graph.ints(axes.map((i) => starts[i]!)), graph.ints(axes.map((i) => starts[i]! + shape[i]!)), graph.ints(axes)],
      {dtype: x!.dtype, shape},
    );
  },
  Concat: (graph, inputs, {axis}) => {
    const all = listOf(inputs);
    const at = axesOf(axis, all[0]!.shape.length)[0]!;
    const parts = all.filter((v) => v.shape[at] !== 0);
    if (parts.length <= 1) return parts[0] ?? all[0]!;
    const shape = parts[0]!.shape.map((d, i) => (i === at ? parts.reduce((n, v) => n + v.shape[at]!, 0) : d));
    return graph.op('Concat', parts, {dtype: parts[0]!.dtype, shape}, {axis: at});
  },
  SplitV: (graph, {x}, {numOrSizeSplits, axis}) => {
    const at = axesOf(axis, x!.shape.length)[0]!;
    const total = x!.shape[at]!;
    const sizes = Array.isArray(numOrSizeSplits)
      ? complete1(numOrSizeSplits as number[], total)
      : Array.from({length: numOrSizeSplits as number}, () => total / (numOrSizeSplits as number));
    const specs = sizes.map((n) => ({dtype: x!.dtype, shape: x!.shape.map((d, i) => (i === at ? n : d))}));
    if (sizes.length === 1) return [x!];
    return graph.ops('Split', [x, graph.ints(sizes)], specs, {axis: at});
  },
  Pack: (graph, inputs, {axis}) => {
    const parts = listOf(inputs);
    const shape = parts[0]!.shape;
    const at = (axis as number) < 0 ? shape.length + 1 + (axis as number) : (axis as number);
    const lifted = parts.map((v) => reshape(graph, v, [...shape.slice(0, at), 1, ...shape.slice(at)]));
    if (lifted.length === 1) return lifted[0]!;
    return graph.op('Concat', lifted, {dtype: parts[0]!.dtype, shape: [...shape.slice(0, at), parts.length, ...shape.slice(at)]}, {axis: at});
  },
  Unpack: (graph, {value}, {axis}) => {
    const shape = value!.shape;
    const at = axesOf(axis, shape.length)[0]!;
    const n = shape[at]!;
    const flat = shape.filter((_, i) => i !== at);
    if (n === 1) return [reshape(graph, value!, flat)];
    const parts = graph.ops(
      'Split',
      [value, graph.ints(Array.from({length: n}, () => 1))],
      Array.from({length: n}, () => ({dtype: value!.dtype, shape: shape.map((d, i) => (i === at ? 1 : d))})),
      {axis: at},
    );
    return parts.map((v) => reshape(graph, v, flat));
  },
  PadV2: (graph, {x}, {paddings, constantValue}) => {
    const p = paddings as [number, number][];
    const shape = x!.shape.map((d, i) => d + p[i]![0] + p[i]![1]);
    return graph.op('Pad', [x, graph.ints([...p.map((q) => q[0]), ...p.map((q) => q[1])]), graph.scalar((constantValue as number | undefined) ?? 0, x!.dtype)], {dtype: x!.dtype, shape}, {mode: 'constant'});
  },
  Tile: (graph, {x}, {reps}) => {
    const r = reps as number[];
    if (r.every((n, i) => n === 1 || x!.shape[i] === 1)) {
      const shape = x!.shape.map((d, i) => d * r[i]!);
      return graph.op('Expand', [x, graph.ints(shape)], {dtype: x!.dtype, shape});
    }
    return graph.op('Tile', [x, graph.ints(r)], {dtype: x!.dtype, shape: x!.shape.map((d, i) => d * r[i]!)});
  },
  BroadcastTo: (graph, {x}, {shape}) => graph.op('Expand', [x, graph.ints(shape as number[])], {dtype: x!.dtype, shape: shape as number[]}),
  Reverse: (graph, {x}, {dims}) => {
    const axes = axesOf(dims, x!.shape.length);
    if (axes.length === 0) return x!;
    return graph.op(
      'Slice',
      [x, graph.ints(axes.map(() => -1)), graph.ints(axes.map(() => Number.MIN_SAFE_INTEGER)), graph.ints(axes), graph.ints(axes.map(() => -1))],
      {dtype: x!.dtype, shape: x!.shape},
    );
  },
  Fill: (graph, _inputs, {shape, value, dtype}) => graph.fill(value as number, shape as number[], ((dtype as string | undefined) ?? 'float32') as GraphDType),
  ZerosLike: (graph, {x}) => graph.fill(0, x!.shape, x!.dtype),
  OnesLike: (graph, {x}) => graph.fill(1, x!.shape, x!.dtype),
  Range: (graph, _inputs, {start, stop, step, dtype}) => {
    const n = Math.max(0, Math.ceil(((stop as number) - (start as number)) / (step as number)));
    const data = Array.from({length: n}, (_, i) => (start as number) + i * (step as number));
    return graph.constant(data, [n], (dtype as GraphDType | undefined) ?? 'float32');
  },
};

function complete1(sizes: readonly number[], total: number): number[] {
  const rest = sizes.reduce((n, d) => (d === -1 ? n : n + d), 0);
  return sizes.map((d) => (d === -1 ? total - rest : d));
}

