/**
 * Where numeric functions run. One door for all of them: `jit` a function, call it with arrays, get arrays.
 *
 * State that stays on the device (parameters, optimizer moments, a latent under way) is put there once and named by
 * `Resident` handles; a call may read them and may write its outputs back into them.
 */
import type {DType, NdArray} from '../tensor/ndarray.js';
import type {Branch, Params, Tree} from '../tensor/tree.js';
import type {NumericFunction} from './trace.js';

let residents = 0;

/** An array that lives on a device. Made by `Device.put`; dead after `free`; unknown to every other device. */
export class Resident {
  /** Different for every array of every device. */
  readonly id: number;
  readonly dtype: DType;
  readonly shape: readonly number[];
  constructor(dtype: DType, shape: readonly number[]) {
    this.id = residents++;
    this.dtype = dtype;
    this.shape = shape;
  }
}

/** A tree of resident arrays. */
export type ResidentTree = Branch<Resident>;

/** What a jitted function is called with: arrays that come along, and arrays that are there already. */
export type Argument = Branch<NdArray | Resident>;

/** How a call treats its outputs. */
export interface CallOptions {
  /** Output branches, by their first key, that replace resident arrays instead of coming back. */
  readonly into?: Readonly<Record<string, Tree<Resident>>>;
  /** Paths of outputs that must be finite; if one is not, nothing is replaced and `applied` is false. */
  readonly guard?: readonly string[];
}

/** What a call yields. */
export interface CallResult {
  /** The outputs that were not written into resident arrays. */
  readonly outputs: Params;
  /** Whether resident arrays were replaced; false only if a guard was not finite. */
  readonly applied: boolean;
  /** Seconds the device took, without compiling and without the way there and back. */
  readonly seconds: number;
}

/** A function bound to a device; compiled on the first call with given shapes. */
export type Jitted = (inputs: Argument, options?: CallOptions) => Promise<CallResult>;

/** What is told when a function was compiled. */
export interface CompileReport {
  readonly name: string;
  readonly nodes: number;
  readonly modelBytes: number;
  readonly traceSeconds: number;
  readonly compileSeconds: number;
  /** Whether all of it runs on the device that was asked for; the runtime puts what a provider lacks on the CPU. */
  readonly whole: boolean;
}

/** A place to run numeric functions. */
export interface Device {
  readonly name: string;
  /** Binds a pure function to this device. `name` stands in messages, errors and profiles. */
  jit(name: string, fn: NumericFunction): Jitted;
  /** Copies a tree of arrays to the device. */
  put(tree: Params): Promise<ResidentTree>;
  /** Copies resident arrays back. */
  get(tree: ResidentTree): Promise<Params>;
  /** Gives the memory of resident arrays back; their handles are dead then. */
  free(tree: ResidentTree): Promise<void>;
  /** Releases the device; every later call fails. */
  close(): Promise<void>;
}

/** Settings of a device. */
export interface DeviceOptions {
  /** Threads of one operator. Default, and if 0: physical cores. */
  readonly threads?: number;
  /** Called after each compilation. */
  readonly onCompile?: (report: CompileReport) => void;
}
