/** The table: tfjs kernel → nodes. A kernel that is not in it is refused by name when a function that uses it is traced. */
import * as tf from '@tensorflow/tfjs-core';
import {UnsupportedOpError} from '../../errors.js';
import {elementwise} from './elementwise.js';
import {fused} from './fused.js';
import {indexing} from './indexing.js';
import {linalg} from './linalg.js';
import type {Lowering, Lowerings} from './lowering.js';
import {movement} from './movement.js';
import {reduction} from './reduction.js';

export type {Lowering};

/** Every lowering by kernel name. */
export const lowerings: Lowerings = {...elementwise, ...movement, ...reduction, ...linalg, ...indexing, ...fused};

/** Names of all kernels that tfjs-core knows. */
export const kernelNames: readonly string[] = Object.entries(tf)
  .filter(([name, value]) => typeof value === 'string' && name === value)
  .map(([name]) => name)
  .sort();

/** Registers every lowering, and for every other kernel a refusal that names it. */
export function registerLowerings(register: (kernelName: string, lowering: Lowering) => void): void {
  for (const [name, lowering] of Object.entries(lowerings)) register(name, lowering);
  for (const name of kernelNames) {
    if (name in lowerings) continue;
    register(name, () => {
      throw new UnsupportedOpError(`compile: tfjs kernel "${name}" has no ONNX lowering; add one in src/engine/lower/, or compose the function of other operators.`);
    });
  }
}
