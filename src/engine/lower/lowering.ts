/** What a lowering is, and the few helpers that all families of lowerings share. */
import {UnsupportedOpError} from '../../errors.js';
import {broadcastShape, type Graph, type GraphDType, type OutputSpec, type Value} from '../graph.js';
import {onnxDataType} from '../onnx.js';

/** Turns one tfjs kernel call into nodes of the graph. `inputs` are named as the kernel names them (lists as `0`, `1`, …). */
export interface Lowering {
  (graph: Graph, inputs: Readonly<Record<string, Value>>, attrs: Readonly<Record<string, unknown>>): Value | readonly Value[];
  /** The ONNX operator, where one alone does what the kernel does (up to a cast or a reshape). */
  operator?: string;
}

/** Lowerings of one family, by kernel name. */
export type Lowerings = Readonly<Record<string, Lowering>>;

/** Notes that a lowering is one ONNX operator; the table of kernels in docs/engine.md shows it. */
export const by = (operator: string, lowering: Lowering): Lowering => Object.assign(lowering, {operator});

/** The inputs of a kernel that takes a list. */
export const listOf = (inputs: Readonly<Record<string, Value>>): Value[] =>
  Object.keys(inputs)
    .sort((a, b) => Number(a) - Number(b))
    .map((key) => inputs[key]);

/** Negative axes counted from the end, in order; undefined means all axes. */
export function axesOf(axis: unknown, rank: number): number[] {
  if (axis === undefined || axis === null) return Array.from({length: rank}, (_, i) => i);
  const axes = Array.isArray(axis) ? (axis as number[]) : [axis as number];
  return axes.map((a) => (a < 0 ? a + rank : a)).sort((a, b) => a - b);
}

/** The one axis of a kernel that takes one. */
export const axisOf = (axis: unknown, rank: number): number => axesOf(axis, rank)[0];

/** The shape of an element-wise result. @throws UnsupportedOpError if the operands do not broadcast. */
export function together(a: Value, b: Value): number[] {
  const shape = broadcastShape(a.shape, b.shape);
  if (!shape) throw new UnsupportedOpError(`compile: [${a.shape.join()}] and [${b.shape.join()}] do not broadcast.`);
  return shape;
}

/** A cast that costs nothing where the dtype is right already. */
export const cast = (graph: Graph, x: Value, dtype: GraphDType): Value =>
  graph.op('Cast', [x], {dtype, shape: x.shape}, {to: onnxDataType(dtype)});

/** `x` under another shape. */
export const reshape = (graph: Graph, x: Value, shape: readonly number[]): Value =>
  graph.op('Reshape', [x, graph.ints(shape)], {dtype: x.dtype, shape});

/** `x` with its axes in another order. */
export const transpose = (graph: Graph, x: Value, perm: readonly number[]): Value =>
  graph.op('Transpose', [x], {dtype: x.dtype, shape: perm.map((axis) => x.shape[axis])}, {perm});

/** `x` repeated to `shape`, with which it broadcasts. */
export const expand = (graph: Graph, x: Value, shape: readonly number[]): Value =>
  graph.op('Expand', [x, graph.ints(shape)], {dtype: x.dtype, shape});

/** An element-wise operator that keeps shape and dtype. */
export const op1 = (graph: Graph, op: string, x: Value): Value => graph.op(op, [x], {dtype: x.dtype, shape: x.shape});

/** An element-wise operator on two operands of one dtype. */
export const op2 = (graph: Graph, op: string, a: Value, b: Value): Value =>
  graph.op(op, [a, b], {dtype: a.dtype, shape: together(a, b)});

/** A comparison. */
export const compare = (graph: Graph, op: string, a: Value, b: Value): Value =>
  graph.op(op, [a, b], {dtype: 'bool', shape: together(a, b)});

/** `a` where the condition holds, else `b`. */
export const where = (graph: Graph, condition: Value, a: Value, b: Value): Value =>
  graph.op('Where', [condition, a, b], {dtype: a.dtype, shape: broadcastShape(condition.shape, together(a, b))!});

/**
 * Elements `[starts, ends)` by steps of the given axes. A negative step runs backwards from `starts`; an `end` of -1 then means
 * past the first.
 */
export function slice(
  graph: Graph,
  x: Value,
  axes: readonly number[],
  starts: readonly number[],
  ends: readonly number[],
  steps: readonly number[] = axes.map(() => 1),
): Value {
  const counts = axes.map((_, i) => Math.max(0, Math.ceil((ends[i] - starts[i]) / steps[i])));
  const shape = [...x.shape];
  axes.forEach((axis, i) => (shape[axis] = counts[i]));
  if (axes.every((axis, i) => shape[axis] === x.shape[axis] && steps[i] === 1)) return x;
  // WebGPU runs backwards from the last element only: what lies behind the start is cut off first.
  const behind = axes.flatMap((axis, i) => (steps[i] < 0 && counts[i] > 0 && starts[i] < x.shape[axis] - 1 ? [i] : []));
  if (behind.length > 0) {
    const front = slice(
      graph,
      x,
      behind.map((i) => axes[i]),
      behind.map(() => 0),
      behind.map((i) => starts[i] + 1),
    );
    return slice(graph, front, axes, starts, ends, steps);
  }
  // ONNX counts negative ends from the back, so "before the first" is one more than all.
  const past = ends.map((end, i) => (steps[i] < 0 && end < 0 ? -x.shape[axes[i]] - 1 : end));
  const inputs = [
    x,
    graph.ints(starts),
    graph.ints(past),
    graph.ints(axes),
    ...(steps.every((s) => s === 1) ? [] : [graph.ints(steps)]),
  ];
  return graph.op('Slice', inputs, {dtype: x.dtype, shape});
}

/** Zeros (or `value`) around `x`. */
export function pad(graph: Graph, x: Value, before: readonly number[], after: readonly number[], value = 0): Value {
  if (before.every((n) => n === 0) && after.every((n) => n === 0)) return x;
  const shape = x.shape.map((d, i) => d + before[i] + after[i]);
  return graph.op(
    'Pad',
    [x, graph.ints([...before, ...after]), graph.scalar(value, x.dtype)],
    {dtype: x.dtype, shape},
    {mode: 'constant'},
  );
}

/** Shape and dtype of a value, for a node that keeps both. */
export const asSpec = (x: Value): OutputSpec => ({dtype: x.dtype, shape: x.shape});
