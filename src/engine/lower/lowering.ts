/** What a lowering is, and the few helpers that all families of lowerings share. */
import type {Graph, OutputSpec, Value} from '../graph.js';

/** Turns one tfjs kernel call into nodes of the graph. `inputs` are named as the kernel names them (lists as `0`, `1`, …). */
export type Lowering = (graph: Graph, inputs: Readonly<Record<string, Value>>, attrs: Readonly<Record<string, unknown>>) => Value | readonly Value[];

/** Lowerings of one family, by kernel name. */
export type Lowerings = Readonly<Record<string, Lowering>>;

/** The inputs of a kernel that takes a list. */
export const listOf = (inputs: Readonly<Record<string, Value>>): Value[] =>
  Object.keys(inputs).sort((a, b) => Number(a) - Number(b)).map((key) => inputs[key]!);

/** Negative axes counted from the end; undefined or empty means all axes. */
export function axesOf(axis: unknown, rank: number): number[] {
  const given = axis === undefined || axis === null ? [] : Array.isArray(axis) ? (axis as number[]) : [axis as number];
  const axes = given.length === 0 && (axis === undefined || axis === null) ? Array.from({length: rank}, (_, i) => i) : given;
  return axes.map((a) => (a < 0 ? a + rank : a)).sort((a, b) => a - b);
}

/** A cast that costs nothing where the dtype is right already. */
export const cast = (graph: Graph, x: Value, dtype: OutputSpec['dtype'], onnxType: number): Value =>
  graph.op('Cast', [x], {dtype, shape: x.shape}, {to: onnxType});

export const reshape = (graph: Graph, x: Value, shape: readonly number[]): Value =>
  graph.op('Reshape', [x, graph.ints(shape)], {dtype: x.dtype, shape});

export const transpose = (graph: Graph, x: Value, perm: readonly number[]): Value =>
  graph.op('Transpose', [x], {dtype: x.dtype, shape: perm.map((axis) => x.shape[axis]!)}, {perm});
