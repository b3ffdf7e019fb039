/** The compiling device: traces a function, hands the graph to onnxruntime in a worker thread, keeps state resident there. */
import type {Worker} from 'node:worker_threads';
import {DeviceError} from '../errors.js';
import type {NdArray} from '../tensor/ndarray.js';
import {leaves, mapTree, unflatten, type Params, type Tree} from '../tensor/tree.js';
import {
  Resident,
  type Argument,
  type CallResult,
  type Device,
  type DeviceOptions,
  type Jitted,
  type ResidentTree,
} from './device.js';
import {blockedModel} from './blocked.js';
import {encodeOnnx} from './onnx.js';
import {optimise} from './passes/index.js';
import type {Answer, Envelope, Feed, Packet, Request, SessionSettings} from './protocol.js';
import {besideModule} from '../workers/pool.js';
import {startWorker} from '../workers/startWorker.js';
import {guardsOf, targetsOf} from './targets.js';
import {trace, type InputSpec, type NumericFunction} from './trace.js';

/** Requests to one worker thread, answered in order. */
class Channel {
  private readonly worker: Worker;
  private readonly waiting = new Map<number, {resolve: (a: Answer) => void; reject: (e: Error) => void}>();
  private nextId = 0;
  private closed: Error | undefined;

  constructor() {
    this.worker = startWorker(besideModule(import.meta.url, 'worker'));
    this.worker.on('message', ({id, body}: Envelope<Answer>) => {
      const waiter = this.waiting.get(id);
      this.waiting.delete(id);
      if (this.waiting.size === 0) this.worker.unref();
      if (body.kind === 'failed') waiter?.reject(new DeviceError(body.message));
      else waiter?.resolve(body);
    });
    this.worker.on('error', (error) => this.fail(error));
    this.worker.on('exit', () => this.fail(new DeviceError('engine: the device is closed.')));
    this.worker.unref();
  }

  private fail(error: Error): void {
    this.closed ??= error;
    for (const {reject} of this.waiting.values()) reject(error);
    this.waiting.clear();
  }

  ask<K extends Answer['kind']>(
    request: Request,
    transfer: readonly ArrayBuffer[],
    kind: K,
  ): Promise<Extract<Answer, {kind: K}>> {
    if (this.closed) return Promise.reject(this.closed);
    const id = this.nextId++;
    this.worker.ref();
    return new Promise((resolve, reject) => {
      this.waiting.set(id, {
        resolve: (a) =>
          a.kind === kind
            ? resolve(a as Extract<Answer, {kind: K}>)
            : reject(new Error(`internal: wanted ${kind}, got ${a.kind}.`)),
        reject,
      });
      this.worker.postMessage({id, body: request} satisfies Envelope<Request>, transfer as ArrayBuffer[]);
    });
  }

  async close(): Promise<void> {
    this.closed ??= new DeviceError('engine: the device is closed.');
    await this.worker.terminate();
  }
}

/** Puts the function's name before what the runtime says, unless the device is gone. */
const named =
  (fnName: string) =>
  (error: unknown): never => {
    if (error instanceof DeviceError && !error.message.startsWith('engine:'))
      throw new DeviceError(`${fnName}: ${error.message}`, {cause: error});
    throw error;
  };

const packet = (a: NdArray): Packet => ({dtype: a.dtype, shape: a.shape, data: a.data.slice()});

interface Program {
  readonly id: number;
  readonly inputs: readonly string[];
  readonly outputs: readonly {readonly path: string; readonly shape: readonly number[]; readonly dtype: InputSpec['dtype']}[];
}

/** Opens the compiling device on one of onnxruntime's execution providers. */
export async function openOrtDevice(name: string, settings: SessionSettings, options: DeviceOptions): Promise<Device> {
  const channel = new Channel();
  await channel.ask({kind: 'configure', settings}, [], 'done');
  let nextProgram = 0;

  const blocked =
    settings.provider === 'cpu' &&
    (await channel.ask({kind: 'compile', program: nextProgram++, model: blockedModel(), outputs: []}, [], 'compiled').then(
      () => true,
      () => false,
    ));

  const compile = async (fnName: string, fn: NumericFunction, inputs: Argument): Promise<Program> => {
    const start = performance.now();
    const specs = mapTree(inputs, (leaf): InputSpec => ({dtype: leaf.dtype, shape: leaf.shape}));
    const traced = trace(fnName, fn, specs, blocked);
    const optimised = optimise(
      traced.graph,
      traced.outputs.map((o) => o.value),
      settings.provider,
    );
    const model = encodeOnnx(optimised.graph, optimised.outputs);
    const bytes = model.length;
    const outputs = traced.outputs.map(({path, value}) => ({path, shape: value.shape, dtype: value.dtype as InputSpec['dtype']}));
    const tracedAt = performance.now();
    const id = nextProgram++;
    const profile = process.env['RLFT_PROFILE'];
    const {whole} = await channel.ask(
      {kind: 'compile', program: id, model, outputs, ...(profile && {profile: `${profile}-${fnName.replace(/\W+/g, '-')}`})},
      [model.buffer as ArrayBuffer],
      'compiled',
    );
    options.onCompile?.({
      name: fnName,
      nodes: optimised.graph.nodes.length,
      modelBytes: bytes,
      traceSeconds: (tracedAt - start) / 1000,
      compileSeconds: (performance.now() - tracedAt) / 1000,
      whole,
    });
    return {id, inputs: traced.inputs, outputs};
  };

  return {
    name,
    jit(fnName, fn): Jitted {
      const programs = new Map<string, Promise<Program>>();
      return async (inputs, callOptions = {}): Promise<CallResult> => {
        const given = leaves(inputs as Tree<NdArray | Resident>);
        const key = given.map(([path, leaf]) => `${path}:${leaf.dtype}[${leaf.shape.join()}]`).join(';');
        let compiled = programs.get(key);
        if (!compiled) {
          compiled = compile(fnName, fn, inputs);
          programs.set(key, compiled);
          compiled.catch(() => programs.delete(key));
        }
        const program = await compiled;
        const targets = targetsOf(fnName, program.outputs, callOptions.into).map((target) => target?.id ?? null);
        const feeds = given.map(([, leaf]): Feed => (leaf instanceof Resident ? leaf.id : packet(leaf)));
        const guards = guardsOf(fnName, program.outputs, callOptions.guard);
        const transfer = feeds.flatMap((feed) => (typeof feed === 'number' ? [] : [feed.data.buffer as ArrayBuffer]));
        const ran = await channel
          .ask({kind: 'run', program: program.id, feeds, targets, guards}, transfer, 'ran')
          .catch(named(fnName));
        const outputs = ran.outputs.flatMap((p, i) => (p ? [[program.outputs[i].path, p as NdArray] as const] : []));
        return {outputs: unflatten(outputs), applied: ran.applied, seconds: ran.seconds};
      };
    },
    async put(tree: Params): Promise<ResidentTree> {
      const arrays: {id: number; packet: Packet}[] = [];
      const handles = mapTree(tree, (leaf: NdArray) => {
        const handle = new Resident(leaf.dtype, leaf.shape);
        arrays.push({id: handle.id, packet: packet(leaf)});
        return handle;
      });
      await channel.ask(
        {kind: 'put', arrays},
        arrays.map((a) => a.packet.data.buffer as ArrayBuffer),
        'done',
      );
      return handles;
    },
    async get(tree: ResidentTree): Promise<Params> {
      const all = leaves<Resident>(tree);
      const {arrays} = await channel.ask({kind: 'get', ids: all.map(([, r]) => r.id)}, [], 'arrays');
      return unflatten(all.map(([path], i) => [path, arrays[i] as NdArray] as const));
    },
    async free(tree: ResidentTree): Promise<void> {
      await channel.ask({kind: 'free', ids: leaves<Resident>(tree).map(([, r]) => r.id)}, [], 'done');
    },
    close: () => channel.close(),
  };
}
