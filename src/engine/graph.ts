/**
 * The graph that tracing makes: ONNX operators over values whose shapes are all known.
 *
 * Nodes are hash-consed while they are added: the same operator on the same inputs is one node, so common subexpressions of
 * forward and backward pass never exist twice. Peephole rules that need only a node and its inputs are applied here too
 * (`simplify.ts`); what is unused in the end is dropped by `prune`.
 */
import type {DType} from '../tensor/ndarray.js';
import {sizeOf} from '../tensor/ndarray.js';
import {simplify} from './simplify.js';

export {broadcastShape, sameShape} from './shapes.js';

/** Element types in a graph: those of arrays, the 64-bit integers in which ONNX wants shapes and axes, and doubles, in which integers divide exactly. */
export type GraphDType = DType | 'int64' | 'float64';

/** Attribute of an ONNX operator. */
export type Attribute = number | string | readonly number[] | {readonly float: number};
/** The attributes of a node by name. */
export type Attributes = Readonly<Record<string, Attribute>>;

/** One tensor of the graph. */
export interface Value {
  readonly id: number;
  readonly dtype: GraphDType;
  readonly shape: readonly number[];
  /** The node that makes it; absent for inputs and constants. */
  readonly node?: Node;
  /** Elements, if it is a constant. */
  readonly data?: ArrayLike<number>;
  /** The number that all elements equal, if it is such a constant. */
  readonly uniform?: number;
}

/** One application of an operator. */
export interface Node {
  readonly op: string;
  /** '' is the ONNX standard; 'com.microsoft' are the runtime's own operators. */
  readonly domain: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly attributes: Attributes;
  readonly outputs: readonly Value[];
}

/** What a node yields: the shape and dtype of one output. */
export interface OutputSpec {
  readonly dtype: GraphDType;
  readonly shape: readonly number[];
}

/** FNV-1a over the numbers' bits as float32, which is enough to tell tables apart. */
function checksum(data: ArrayLike<number>): number {
  const bits = new Uint32Array(Float32Array.from(data).buffer);
  let hash = 0x811c9dc5;
  for (const word of bits) hash = Math.imul(hash ^ word, 0x01000193);
  return hash >>> 0;
}

function sameElements(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
  return true;
}

const spelt = (n: number): string => (Object.is(n, -0) ? '-0' : `${n}`);

/** Spells attributes so that different ones differ: JSON would make null of every infinity and NaN, and 0 of -0. */
const keyOf = (attributes: Attributes): string =>
  Object.entries(attributes)
    .map(
      ([name, value]) =>
        `${name}=${typeof value === 'object' && 'float' in value ? `f${spelt(value.float)}` : JSON.stringify(value)}`,
    )
    .join(';');

/** Grows while a function is traced; `prune` leaves what the outputs need. */
export class Graph {
  readonly inputs: Value[] = [];
  nodes: Node[] = [];
  private nextId = 0;
  private readonly known = new Map<string, readonly Value[]>();
  private readonly constants = new Map<string, readonly Value[]>();

  /** Adds an input of the whole graph. */
  input(spec: OutputSpec): Value {
    const value = {id: this.nextId++, dtype: spec.dtype, shape: [...spec.shape]};
    this.inputs.push(value);
    return value;
  }

  /** A constant; equal ones are one value, and one repeated number is a `fill`. The data are kept, not copied. */
  constant(data: ArrayLike<number>, shape: readonly number[], dtype: GraphDType): Value {
    const size = sizeOf(shape);
    const first = data[0] ?? 0;
    let uniform = size > 0;
    for (let i = 1; i < size && uniform; i++) uniform = Object.is(data[i], first);
    if (uniform) return this.fill(first, shape, dtype);
    // Large ones are told apart by a checksum first, so that a table used in every block is stored once.
    const key = `${dtype}[${shape.join()}]${size > 64 ? checksum(data) : Array.from(data, spelt).join()}`;
    const bucket = this.constants.get(key) ?? [];
    let value = bucket.find((v) => v.data !== undefined && sameElements(v.data, data));
    if (!value) {
      value = {id: this.nextId++, dtype, shape: [...shape], data};
      this.constants.set(key, [...bucket, value]);
    }
    return value;
  }

  /** A constant of one repeated number; its elements are never stored. */
  fill(number: number, shape: readonly number[], dtype: GraphDType): Value {
    const key = `${dtype}[${shape.join()}]=${spelt(number)}`;
    let value = this.constants.get(key)?.[0];
    if (!value) {
      value = {id: this.nextId++, dtype, shape: [...shape], uniform: number};
      this.constants.set(key, [value]);
    }
    return value;
  }

  scalar(number: number, dtype: GraphDType = 'float32'): Value {
    return this.fill(number, [], dtype);
  }

  /** A vector of 64-bit integers: the form in which ONNX takes axes, shapes, starts and ends. */
  ints(numbers: readonly number[]): Value {
    return this.constant(numbers, [numbers.length], 'int64');
  }

  /** Applies an operator with one output. */
  op(op: string, inputs: readonly (Value | undefined)[], output: OutputSpec, attributes: Attributes = {}, domain = ''): Value {
    const shorter = simplify(this, op, inputs, output, attributes);
    return shorter ?? this.ops(op, inputs, [output], attributes, domain)[0];
  }

  /** Applies an operator with any number of outputs. */
  ops(
    op: string,
    inputs: readonly (Value | undefined)[],
    outputs: readonly OutputSpec[],
    attributes: Attributes = {},
    domain = '',
  ): readonly Value[] {
    const key = `${domain}.${op}(${inputs.map((v) => v?.id ?? '').join()})${keyOf(attributes)}:${outputs.map((o) => o.dtype).join()}`;
    const seen = this.known.get(key);
    if (seen) return seen;
    const values: Value[] = [];
    const node: Node = {op, domain, inputs, attributes, outputs: values};
    for (const spec of outputs) values.push({id: this.nextId++, dtype: spec.dtype, shape: [...spec.shape], node});
    this.nodes.push(node);
    this.known.set(key, values);
    return values;
  }

  /** Drops every node that no output needs. The order stays that of recording, which is a topological one. */
  prune(outputs: readonly Value[]): void {
    const needed = new Set<Node>();
    const stack = outputs.flatMap((v) => (v.node ? [v.node] : []));
    while (stack.length > 0) {
      const node = stack.pop()!;
      if (needed.has(node)) continue;
      needed.add(node);
      for (const input of node.inputs) if (input?.node) stack.push(input.node);
    }
    this.nodes = this.nodes.filter((node) => needed.has(node));
  }

  /** One line a node, for snapshots in tests and for `--verbose`. */
  toString(): string {
    const names = new Map<number, string>();
    const name = (v: Value | undefined): string => {
      if (!v) return '_';
      if (v.uniform !== undefined) return v.shape.length === 0 ? `${v.uniform}` : `${v.uniform}[${v.shape.join()}]`;
      if (v.data) return v.data.length <= 8 ? `[${Array.from(v.data).join()}]` : `const[${v.shape.join()}]`;
      let n = names.get(v.id);
      if (!n) names.set(v.id, (n = `%${names.size}`));
      return n;
    };
    const type = (v: Value): string => `${v.dtype}[${v.shape.join()}]`;
    const attrs = (a: Attributes): string =>
      Object.keys(a).length === 0
        ? ''
        : ` {${Object.entries(a)
            .map(([k, v]) => `${k}: ${JSON.stringify(v)}`)
            .join(', ')}}`;
    return [
      `(${this.inputs.map((v) => `${name(v)}: ${type(v)}`).join(', ')})`,
      ...this.nodes.map(
        (n) =>
          `${n.outputs.map((v) => `${name(v)}: ${type(v)}`).join(', ')} = ${n.op}(${n.inputs.map(name).join(', ')})${attrs(n.attributes)}`,
      ),
    ].join('\n');
  }
}
