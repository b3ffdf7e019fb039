/** Reads golden cases: numbers made by running the original implementations (test/fixtures). */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {readFileSync} from 'node:fs';
import '../../src/autograd/index.js';

// No advice about other backends on the console; IS_TEST would take what a custom gradient saves for a leak.
tf.enableProdMode();

/** A tensor as the files hold it; non-finite values are strings. */
export interface GoldenTensor {
  readonly shape: number[];
  readonly dtype: string;
  readonly data: (number | string)[];
}

/** One case. `P` is the form of its params. */
export interface Case<P = Record<string, unknown>> {
  readonly name: string;
  readonly inputs: Record<string, GoldenTensor>;
  readonly params: P;
  readonly outputs: Record<string, GoldenTensor>;
  readonly tolerance: Record<string, {atol: number; rtol: number}>;
  readonly trap?: string;
}

/** All cases of a file whose family (the name up to the first slash) is one of those named; without names, all. */
export function cases<P = Record<string, unknown>>(file: string, ...families: string[]): Case<P>[] {
  const all = JSON.parse(readFileSync(new URL(`../fixtures/${file}`, import.meta.url), 'utf8')) as Case<P>[];
  const found = all.filter((c) => families.length === 0 || families.includes(c.name.split('/')[0]));
  if (found.length === 0) throw new Error(`${file} has no case of ${families.join(', ')}`);
  return found;
}

/** The numbers of a golden tensor, or of a plain number; float32 data are the float32 that their nine digits stand for. */
export const numbers = (x: GoldenTensor | number): number[] =>
  typeof x === 'number' ? [x] : x.data.map((v) => (x.dtype === 'float32' ? Math.fround(Number(v)) : Number(v)));

/** A golden tensor as float32. */
export const tensor = (x: GoldenTensor): tf.Tensor => tf.tensor(numbers(x), x.shape, 'float32');

/** The numbers of a tensor. */
export const values = (x: tf.Tensor): number[] => Array.from(x.dataSync());

/**
 * Asserts that an output of a case is met within its tolerance: |a − b| ≤ atol + rtol·|b|; exact where it has none.
 *
 * @param slack added to atol, where float32 in our order of operations needs it.
 */
export function expectOutput(c: Case<unknown>, output: string, actual: tf.Tensor | ArrayLike<number>, slack = 0): void {
  if (!(output in c.outputs)) throw new Error(`${c.name} has no output ${output}`);
  const {atol, rtol} = c.tolerance[output] ?? {atol: 0, rtol: 0};
  expectClose(actual, numbers(c.outputs[output]), atol + slack, rtol, output);
}

/** Asserts |a − b| ≤ atol + rtol·|b| element by element, and equal lengths; NaN meets NaN alone. */
export function expectClose(
  actual: tf.Tensor | ArrayLike<number>,
  wanted: ArrayLike<number>,
  atol: number,
  rtol = 0,
  what = 'value',
): void {
  const got = actual instanceof tf.Tensor ? values(actual) : Array.from(actual);
  expect(got.length, `${what}: length`).to.equal(wanted.length);
  got.forEach((a, i) => {
    const b = wanted[i];
    const near = Number.isNaN(b) ? Number.isNaN(a) : a === b || Math.abs(a - b) <= atol + rtol * Math.abs(b);
    expect(near, `${what}[${i}]: got ${a}, wanted ${b} ± ${atol + rtol * Math.abs(b)}`).to.equal(true);
  });
}

/** `[B]` float32 tensor of one number of each row. */
export const column = <T>(rows: readonly T[], pick: (row: T) => number): tf.Tensor => tf.tensor1d(rows.map(pick), 'float32');
