/** Starts a module in a worker thread, from source as well as built. */
import {Worker, type WorkerOptions} from 'node:worker_threads';

/**
 * Starts `module` in a worker thread. A `.ts` module only ever runs in this repository's own tests and scripts: Node 20 does
 * not pass the loader hooks of `--import tsx` on to threads, so the thread registers them itself before it loads the module.
 */
export function startWorker(module: URL, options: WorkerOptions = {}): Worker {
  if (!module.pathname.endsWith('.ts')) return new Worker(module, options);
  const bootstrap = `import('tsx/esm/api').then(({register}) => { register(); return import(${JSON.stringify(module.href)}); });`;
  return new Worker(bootstrap, {...options, eval: true});
}
