/**
 * A few worker threads that answer requests of one kind. Requests queue for the next free thread; array buffers in a reply
 * are moved, not copied. Idle threads never keep the process alive.
 */
import {parentPort, workerData as data, type Transferable, type Worker} from 'node:worker_threads';
import {startWorker} from './startWorker.js';

/** Threads that answer `Request` with `Reply`. */
export interface WorkerPool<Request, Reply> {
  /** Sends a request to the next free thread. Rejects with what the handler threw, or if the pool is closed meanwhile. */
  run(request: Request): Promise<Reply>;
  /** Ends the threads; open requests reject. */
  close(): Promise<void>;
}

interface Job<Request, Reply> {
  readonly request: Request;
  resolve(reply: Reply): void;
  reject(error: unknown): void;
}

type Answer<Reply> = {readonly reply: Reply} | {readonly error: unknown};

/**
 * Starts a pool. The threads are started on first use.
 *
 * @param module URL of the module that calls {@link serve}; see {@link besideModule}.
 * @param threads at least 1.
 * @param setup passed to the handler's maker once in every thread.
 */
export function workerPool<Request, Reply>(module: URL, threads: number, setup: unknown): WorkerPool<Request, Reply> {
  const waiting: Job<Request, Reply>[] = [];
  const idle: Worker[] = [];
  const busy = new Map<Worker, Job<Request, Reply>>();
  let closed = false;

  const next = (): void => {
    while (waiting.length > 0 && (idle.length > 0 || busy.size < threads)) {
      const worker = idle.pop() ?? start();
      const job = waiting.shift()!;
      busy.set(worker, job);
      worker.ref();
      worker.postMessage(job.request);
    }
  };

  /** Takes the job a thread was doing; the thread goes idle if it can go on. */
  const finish = (worker: Worker, alive: boolean): Job<Request, Reply> | undefined => {
    const job = busy.get(worker);
    busy.delete(worker);
    if (alive) {
      worker.unref();
      idle.push(worker);
    }
    return job;
  };

  const start = (): Worker => {
    const worker = startWorker(module, {workerData: setup});
    worker.on('message', (answer: Answer<Reply>) => {
      const job = finish(worker, true);
      if ('error' in answer) job?.reject(answer.error);
      else job?.resolve(answer.reply);
      next();
    });
    // An error outside the handler ends the thread; the next request starts another.
    const lost = (error: unknown): void => {
      finish(worker, false)?.reject(error);
      const at = idle.indexOf(worker);
      if (at >= 0) idle.splice(at, 1);
      if (!closed) next();
    };
    worker.on('error', lost);
    worker.on('exit', (code) =>
      lost(new Error(`worker ${module.pathname}: wanted an answer; the thread ended with code ${code}.`)),
    );
    return worker;
  };

  return {
    run: (request) =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new Error('workerPool: wanted an open pool; it was closed; start another.'));
        waiting.push({request, resolve, reject});
        next();
      }),
    async close() {
      closed = true;
      for (const job of waiting.splice(0)) job.reject(new Error('workerPool: closed before the request was sent.'));
      await Promise.all([...idle, ...busy.keys()].map((worker) => worker.terminate()));
    },
  };
}

/**
 * The other side: call it once in the worker's module.
 *
 * @param make gets the pool's `setup` and returns the handler of requests.
 * @param transfer buffers of a reply to move instead of copying.
 */
export function serve<Request, Reply, Setup>(
  make: (setup: Setup) => (request: Request) => Reply,
  transfer: (reply: Reply) => Transferable[],
): void {
  if (parentPort === null) throw new Error('serve: wanted to run in a worker thread; this is the main thread.');
  const port = parentPort;
  const handle = make(data as Setup);
  port.on('message', (request: Request) => {
    try {
      const reply = handle(request);
      port.postMessage({reply} satisfies Answer<Reply>, transfer(reply));
    } catch (error) {
      port.postMessage({error} satisfies Answer<Reply>);
    }
  });
}

/**
 * URL of a module beside another one, with the extension that the other one runs under: `.ts` from source, `.js` when built.
 *
 * @param from `import.meta.url` of the caller.
 * @param name file name without extension.
 */
export const besideModule = (from: string, name: string): URL =>
  new URL(`./${name}${from.endsWith('.ts') ? '.ts' : '.js'}`, from);
