/** All that a plug-in may import: ours and strangers' alike. */
import './autograd/index.js';
export {ConfigError, ShapeError} from './errors.js';
export {ndarray, rows, sizeOf, zeros, type NdArray} from './tensor/ndarray.js';
export type {ClipSource, Environment, Judge, Judgement, Policy, Prompt} from './environment.js';
export {textPolicy, type TextPolicyConfig} from './models/textPolicy.js';
export {besideModule, serve, workerPool, type WorkerPool} from './workers/pool.js';
