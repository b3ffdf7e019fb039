/**
 * Registers the derivative of every tfjs kernel that rlft differentiates. Import it for its effect.
 *
 * tfjs-core ships its gradients only as modules that Node cannot load (ES syntax in a package without a `type`), and the
 * package that bundles them brings 300 MB of layers, converters and WebGL. Own formulas also trace into fewer nodes.
 */
import * as tf from '@tensorflow/tfjs-core';
import {convolutions} from './convolution.js';
import {elementwise} from './elementwise.js';
import {fused} from './fused.js';
import type {Gradients} from './gradient.js';
import {indexing} from './indexing.js';
import {ordering} from './recompute.js';
import {reduction} from './reduction.js';
import {resize} from './resize.js';
import {structure} from './structure.js';

/** Every gradient by kernel name. */
export const gradients: Gradients = {
  ...elementwise,
  ...structure,
  ...reduction,
  ...indexing,
  ...convolutions,
  ...resize,
  ...fused,
  ...ordering,
};

for (const [kernelName, gradient] of Object.entries(gradients)) {
  if (!tf.getGradient(kernelName)) tf.registerGradient({kernelName, ...gradient});
}
