/**
 * A tfjs backend that computes nothing and writes down what it was asked for.
 *
 * While a function is traced this backend is the active one, so every kernel that the function (or tfjs' own gradient code)
 * runs is looked up in the lowering table and becomes nodes of a graph. Shapes are known throughout; data never is.
 */
import * as tf from '@tensorflow/tfjs-core';
import {TracedReadError} from '../errors.js';
import {sizeOf, type DType} from '../tensor/ndarray.js';
import {leaves, mapTree, type Branch} from '../tensor/tree.js';
import '../autograd/index.js';
import {withBlockedConvolutions} from '../autograd/fused.js';
import {Graph, type Value} from './graph.js';
import {registerLowerings, type Lowering} from './lower/index.js';
import {cast} from './lower/lowering.js';

/** A pure function of tensors: no reads, no clocks, no random numbers; what varies is an input. */
export type NumericFunction = (inputs: Branch<tf.Tensor>) => Branch<tf.Tensor>;

/** Shape and dtype of one input. */
export interface InputSpec {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** What tracing a function yields. */
export interface Traced {
  readonly graph: Graph;
  readonly inputs: readonly string[];
  readonly outputs: readonly {readonly path: string; readonly value: Value}[];
}

interface Recording {
  readonly graph: Graph;
  readonly name: string;
}
let recording: Recording | undefined;

function current(): Recording {
  if (!recording) throw new Error('internal: the trace backend ran outside a trace.');
  return recording;
}

const isConstant = (value: Value): boolean => value.data !== undefined || value.uniform !== undefined;

/** The elements of a constant, as tfjs holds them. */
function elementsOf({dtype, shape, data, uniform}: Value): tf.backend_util.BackendValues {
  const length = sizeOf(shape);
  const at = (_: unknown, i: number): number => uniform ?? data![i];
  if (dtype === 'float32') return Float32Array.from({length}, at);
  return dtype === 'int32' ? Int32Array.from({length}, at) : Uint8Array.from({length}, at);
}

/** A value, and the graph that it is part of. */
interface Held {
  readonly value: Value;
  readonly graph: Graph;
}

class TraceBackend extends tf.KernelBackend {
  /** Asked for data of another backend, it has tfjs move them here. */
  private readonly held = new tf.DataStorage<Held>(this, tf.engine());

  hold(value: Value): object {
    const dataId = {};
    this.held.set(dataId, {value, graph: current().graph});
    return dataId;
  }
  /** The value of a tensor in the graph under way; a constant that an earlier graph knew is made again. */
  lookUp(dataId: object): Value {
    const {value, graph} = this.held.get(dataId);
    const {graph: here, name} = current();
    if (graph === here) return value;
    if (!isConstant(value)) {
      throw new TracedReadError(
        `compile(${name}): it uses a tensor that another compiled function has made; pass it as an input.`,
      );
    }
    return here.constant(elementsOf(value) as unknown as ArrayLike<number>, value.shape, value.dtype);
  }
  private constant(values: tf.backend_util.BackendValues | undefined, shape: number[], dtype: tf.DataType): Value {
    return current().graph.constant((values ?? []) as unknown as ArrayLike<number>, shape, dtype as DType);
  }
  override write(values: tf.backend_util.BackendValues, shape: number[], dtype: tf.DataType): object {
    return this.hold(this.constant(values, shape, dtype));
  }
  override move(dataId: object, values: tf.backend_util.BackendValues, shape: number[], dtype: tf.DataType): void {
    this.held.set(dataId, {value: this.constant(values, shape, dtype), graph: current().graph});
  }
  /** Constants may be read, since they are the same in every call; so may tensors that tfjs moves back to another backend. */
  override readSync(dataId: object): tf.backend_util.BackendValues {
    const {value} = this.held.get(dataId);
    if (isConstant(value)) return elementsOf(value);
    throw new TracedReadError(
      `compile(${recording?.name ?? 'after tracing'}): the function reads tensor data while it is traced, which would freeze that value into the graph; pass what it needs as an input, or compute with tensors only.`,
    );
  }
  override read(dataId: object): Promise<tf.backend_util.BackendValues> {
    return Promise.resolve(this.readSync(dataId));
  }
  /** Nothing is ever held, so tfjs' search for leaks has nothing to find. */
  override numDataIds(): number {
    return 0;
  }
  override disposeData(dataId: object): boolean {
    if (this.held.has(dataId)) this.held.delete(dataId);
    return true;
  }
  override incRef(): void {}
  decRef(): void {}
  override refCount(): number {
    return 1;
  }
  override floatPrecision(): 32 {
    return 32;
  }
  override epsilon(): number {
    return 1e-7;
  }
  override timerAvailable(): boolean {
    return false;
  }
}

const BACKEND = 'rlft-trace';
let backend: TraceBackend | undefined;

function ensureBackend(): TraceBackend {
  if (backend) return backend;
  const made = new TraceBackend();
  // The lowest priority: whoever else is registered is the one that eager code gets.
  tf.registerBackend(BACKEND, () => made, -1);
  registerLowerings((kernelName: string, lowering: Lowering) => {
    tf.registerKernel({
      kernelName,
      backendName: BACKEND,
      kernelFunc: ({inputs, attrs}) => {
        const named = Object.fromEntries(
          Object.entries(inputs).flatMap(([key, t]) => (t ? [[key, made.lookUp(t.dataId)] as const] : [])),
        );
        const result = lowering(current().graph, named, attrs ?? {});
        const info = (value: Value): tf.TensorInfo => ({
          dataId: made.hold(value),
          shape: [...value.shape],
          dtype: value.dtype as tf.DataType,
        });
        return Array.isArray(result) ? (result as Value[]).map(info) : info(result as Value);
      },
    });
  });
  backend = made;
  return made;
}

/**
 * Runs `fn` on placeholders and returns the graph of what it did.
 *
 * @param name names the function in messages.
 * @param specs a tree of input shapes; its leaves in order are the graph's inputs.
 * @param blocked whether the graph may hold convolutions of blocked channels (`blocked.ts`).
 * @throws TracedReadError if the function reads data; UnsupportedOpError for a kernel without a lowering.
 */
export function trace(name: string, fn: NumericFunction, specs: Branch<InputSpec>, blocked = true): Traced {
  const tracer = ensureBackend();
  if (recording) throw new Error(`internal: trace(${name}) inside trace(${recording.name}).`);
  const graph = new Graph();
  const before = tf.getBackend();
  recording = {graph, name};
  try {
    // Both backends are ready, so the switch happens before the promise is even returned.
    void tf.setBackend(BACKEND);
    const outputs: {path: string; value: Value}[] = [];
    tf.engine().startScope(name);
    try {
      const placeholders = mapTree(specs, (spec: InputSpec) => {
        const input = graph.input(spec);
        // tfjs has no bytes: inside the function they are integers, and a cast to float goes straight from the bytes.
        const dtype = spec.dtype === 'uint8' ? 'int32' : spec.dtype;
        const value = cast(graph, input, dtype);
        return tf.engine().makeTensorFromDataId(tracer.hold(value), [...spec.shape], dtype, tracer);
      });
      for (const [path, tensor] of leaves(withBlockedConvolutions(blocked, () => fn(placeholders)))) {
        outputs.push({path, value: tracer.lookUp(tensor.dataId)});
      }
    } finally {
      tf.engine().endScope();
    }
    graph.prune(outputs.map((o) => o.value));
    return {graph, inputs: leaves(specs).map(([path]) => path), outputs};
  } finally {
    recording = undefined;
    activate(before);
  }
}

/** Makes the backend active again that was so before tracing; if none was, tfjs chooses its best when it next needs one. */
function activate(name: string | undefined): void {
  if (name) void tf.setBackend(name);
  else Object.assign(tf.engine(), {backendName: null, backendInstance: null});
}
