/** The smallest real policy, with weights under which everything matters. */
import {ddpo} from '../../algorithms/ddpo.js';
import {fluentClips} from '../../environments/fluentClips/fluentClips.js';
import type {LossFunction} from '../../src/algorithm.js';
import type {Device} from '../../src/engine/device.js';
import type {Environment} from '../../src/environment.js';
import {createLearner, type LearnerParts, type LearnerSnapshot, type ResidentLearner} from '../../src/learn/learner.js';
import {packPolicyFor} from '../../src/rollout/residentPolicy.js';
import type {NdArray} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';
import {mapTree, type Params} from '../../src/tensor/tree.js';

/** Fluent clips at the size of tests. */
export const nano = fluentClips('nano');

/** Fresh weights with noise on them: residual branches of a fresh network are zero, and would hide half of it. */
export function noisyWeights(environment: Environment, scale = 0.03): Params {
  return mapTree(environment.initialise(1), (a: NdArray, path) => {
    const noise = normals({seed: 2, purpose: `weights/${path}`}, new Float32Array(a.data.length));
    return {dtype: 'float32', shape: a.shape, data: noise.map((z, i) => a.data[i] + scale * z)} satisfies NdArray<'float32'>;
  });
}

/** DDPO without its default window and anchor. */
export const plainDdpo = (options: Readonly<Record<string, unknown>> = {}) =>
  ddpo.configure(ddpo.options.parse({windowSize: 0, anchorCoefficient: 0, ...options}));

/** A learner with DDPO's loss. */
export function openLearner(
  environment: Environment,
  device: Device,
  params: Params,
  change: Partial<LearnerParts> & {readonly loss?: LossFunction} = {},
  from?: LearnerSnapshot,
): Promise<ResidentLearner> {
  const {loss, scalars, optimizer} = plainDdpo();
  const parts = {environment, device, layout: packPolicyFor(environment, params), loss, scalars, optimizer, reference: params};
  return createLearner({...parts, density: 'gaussian', guidanceScale: 1, microbatch: 16, ...change}, from);
}
