/** The table: tfjs kernel → nodes. A kernel that is not in it is refused by name when a function that uses it is traced. */
import * as tf from '@tensorflow/tfjs-core';
import {UnsupportedOpError} from '../../errors.js';
import {convolution} from './convolution.js';
import {elementwise} from './elementwise.js';
import {fused} from './fused.js';
import {indexing} from './indexing.js';
import {linalg} from './linalg.js';
import type {Lowering, Lowerings} from './lowering.js';
import {movement} from './movement.js';
import {ordering} from './ordering.js';
import {pooling} from './pooling.js';
import {reduction} from './reduction.js';
import {neverRun, refused} from './refused.js';
import {resize} from './resize.js';

export type {Lowering};

/** Every lowering by kernel name. */
export const lowerings: Lowerings = {
  ...elementwise,
  ...movement,
  ...reduction,
  ...linalg,
  ...indexing,
  ...convolution,
  ...pooling,
  ...resize,
  ...fused,
  ...ordering,
};

/** Names of all kernels that tfjs-core knows. */
export const kernelNames: readonly string[] = Object.entries(tf)
  .filter(([name, value]) => typeof value === 'string' && name === value)
  .map(([name]) => name)
  .sort();

/** What becomes of a kernel: one ONNX operator, several, or a refusal with its reason. */
export type KernelState =
  | {readonly state: 'lowered'; readonly note: string}
  | {readonly state: 'composed'; readonly note: string}
  | {readonly state: 'refused'; readonly note: string};

/** The state of a kernel, or undefined if nobody has thought of it. */
export function kernelState(name: string): KernelState | undefined {
  const lowering = lowerings[name];
  if (lowering)
    return lowering.operator ? {state: 'lowered', note: lowering.operator} : {state: 'composed', note: 'several operators'};
  if (name in neverRun) return {state: 'composed', note: `never asked for; ${neverRun[name]} instead`};
  return name in refused ? {state: 'refused', note: refused[name]} : undefined;
}

/** Registers every lowering, and for every other kernel a refusal that names it. */
export function registerLowerings(register: (kernelName: string, lowering: Lowering) => void): void {
  for (const [name, lowering] of Object.entries(lowerings)) register(name, lowering);
  for (const name of kernelNames) {
    if (name in lowerings) continue;
    const reason = refused[name] ?? neverRun[name] ?? 'nobody has needed it';
    register(name, () => {
      throw new UnsupportedOpError(
        `compile: tfjs kernel "${name}" has no ONNX lowering (${reason}); add one in src/engine/lower/, or compose the function of other operators.`,
      );
    });
  }
}
