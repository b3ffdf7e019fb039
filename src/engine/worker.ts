/**
 * The thread in which onnxruntime lives. A session blocks its thread for the whole run, so nothing else may live here.
 *
 * Resident arrays have two buffers used in turn: a run reads the one and writes the other, and they change places only after
 * the run has succeeded and its guards were finite. A failed update therefore leaves the state as it was.
 */
import * as ort from 'onnxruntime-node';
import {parentPort} from 'node:worker_threads';
import {zeros} from '../tensor/ndarray.js';
import type {Answer, Envelope, Packet, Request, SessionSettings} from './protocol.js';

interface Resident {
  front: Packet;
  back?: Packet;
}
interface Program {
  readonly session: ort.InferenceSession;
  readonly outputs: readonly Omit<Packet, 'data'>[];
}

const residents = new Map<number, Resident>();
const programs = new Map<number, Program>();
let settings: SessionSettings = {provider: 'cpu', threads: 1};

const tensorOf = (p: Packet): ort.Tensor => new ort.Tensor(p.dtype, p.data, p.shape);

function resident(id: number): Resident {
  const found = residents.get(id);
  if (!found) throw new Error('engine: a resident array was freed or belongs to another device.');
  return found;
}

const finite = (p: Packet): boolean => p.data.every((x) => Number.isFinite(x));

async function compile(request: Extract<Request, {kind: 'compile'}>): Promise<Answer> {
  const cpu = settings.provider === 'cpu';
  const open = (alone: boolean): Promise<ort.InferenceSession> =>
    ort.InferenceSession.create(request.model, {
      executionProviders: [settings.provider],
      intraOpNumThreads: settings.threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      // It would keep the pieces of memory of the first run, and take as much again as one block for the others.
      enableMemPattern: false,
      // Errors come back as exceptions; on the console they would be said twice.
      logSeverityLevel: 4,
      ...(request.profile !== undefined && {enableProfiling: true, profileFilePrefix: request.profile}),
      // Vanishing activations and gradients are normal late in training; as denormals they cost twenty times as much.
      extra: {
        session: {set_denormal_as_zero: '1', intra_op: {allow_spinning: '0'}, ...(alone && {disable_cpu_ep_fallback: '1'})},
        // Off the CPU this fusion forgets the deviation that the backward of a norm needs.
        ...(!cpu && {optimization: {disable_specified_optimizers: 'SkipLayerNormFusion;BiasSkipLayerNormFusion'}}),
      },
    });
  // The runtime moves what a provider lacks to the CPU without a word; asked not to, it fails.
  const alone = cpu ? undefined : await open(true).catch(() => undefined);
  const session = alone ?? (await open(false));
  programs.set(request.program, {session, outputs: request.outputs});
  return {kind: 'compiled', whole: cpu || alone !== undefined};
}

async function run(request: Extract<Request, {kind: 'run'}>): Promise<Answer> {
  const program = programs.get(request.program);
  if (!program) throw new Error(`internal: program ${request.program} was not compiled.`);
  const feeds: Record<string, ort.Tensor> = {};
  request.feeds.forEach((feed, i) => {
    feeds[`x${i}`] = tensorOf(typeof feed === 'number' ? resident(feed).front : feed);
  });
  const written = program.outputs.map((spec, i): Packet => {
    const target = request.targets[i] ?? null;
    if (target === null) return zeros(spec.dtype, spec.shape);
    const array = resident(target);
    return (array.back ??= zeros(spec.dtype, spec.shape));
  });
  const fetches = Object.fromEntries(written.map((p, i) => [`y${i}`, tensorOf(p)]));
  const start = performance.now();
  await program.session.run(feeds, fetches);
  const seconds = (performance.now() - start) / 1000;
  const applied = request.guards.every((i) => finite(written[i]));
  const outputs = written.map((packet, i) => {
    const target = request.targets[i] ?? null;
    if (target === null) return packet;
    if (applied) {
      const array = resident(target);
      array.back = array.front;
      array.front = packet;
    }
    return null;
  });
  return {kind: 'ran', outputs, applied, seconds};
}

async function answer(request: Request): Promise<Answer> {
  switch (request.kind) {
    case 'configure':
      settings = request.settings;
      return {kind: 'done'};
    case 'compile':
      return compile(request);
    case 'put':
      for (const {id, packet} of request.arrays) residents.set(id, {front: packet});
      return {kind: 'done'};
    case 'get':
      return {kind: 'arrays', arrays: request.ids.map((id) => ({...resident(id).front, data: resident(id).front.data.slice()}))};
    case 'free':
      for (const id of request.ids) residents.delete(id);
      return {kind: 'done'};
    case 'run':
      return run(request);
  }
}

const buffersOf = (a: Answer): ArrayBuffer[] => {
  const packets = a.kind === 'arrays' ? a.arrays : a.kind === 'ran' ? a.outputs.filter((p) => p !== null) : [];
  return packets.map((p) => p.data.buffer as ArrayBuffer);
};

const port = parentPort;
if (!port) throw new Error('internal: engine/worker.ts is a worker thread.');
// One request at a time, in the order they came.
let queue = Promise.resolve();
port.on('message', ({id, body}: Envelope<Request>) => {
  queue = queue.then(async () => {
    let reply: Answer;
    try {
      reply = await answer(body);
    } catch (error) {
      reply = {kind: 'failed', message: error instanceof Error ? error.message : String(error)};
    }
    port.postMessage({id, body: reply}, buffersOf(reply));
  });
});
