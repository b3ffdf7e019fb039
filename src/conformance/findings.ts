/** Collects what is wrong with a plug-in, so that its author sees everything at once. */
import {ContractError} from '../errors.js';
import type {NdArray} from '../tensor/ndarray.js';
import {leaves, type Params} from '../tensor/tree.js';

/** What has been found so far. */
export interface Findings {
  /** Notes a fault unless `holds`. A message reads `part: what was wanted; what came.` */
  check(holds: boolean, message: string): void;
  /** Runs one part of a check; what it throws is a fault of that part, and the other parts go on. */
  part<T>(name: string, run: () => T | Promise<T>): Promise<T | undefined>;
  /** @throws ContractError that lists every fault, if there is one. */
  finish(): void;
}

/** Findings about a plug-in, such as `reward "brightness"`. */
export function findingsOf(subject: string): Findings {
  const faults: string[] = [];
  return {
    check(holds, message) {
      if (!holds) faults.push(message);
    },
    async part(name, run) {
      try {
        return await run();
      } catch (error) {
        faults.push(`${name}: wanted no error; it threw: ${error instanceof Error ? error.message : String(error)}`);
        return undefined;
      }
    },
    finish() {
      if (faults.length === 0) return;
      throw new ContractError(
        `${subject} breaks its contract in ${faults.length} point${faults.length === 1 ? '' : 's'}:\n${faults.map((f) => `  - ${f}`).join('\n')}`,
      );
    },
  };
}

/** Names of plug-ins are file names, export names and symbols in expressions. */
export const isIdentifier = (name: string): boolean => /^[a-z][A-Za-z0-9]*$/.test(name);

/** `[2, 3]`, for messages. */
export const shapeText = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

/** Whether two shapes are the same. */
export const sameShape = (a: readonly number[], b: readonly number[]): boolean => shapeText(a) === shapeText(b);

/** Whether all elements are finite. */
export const allFinite = (data: ArrayLike<number>): boolean => Array.from(data).every(Number.isFinite);

/** Whether two arrays hold the same numbers, bit for bit but for NaN. */
export const sameData = (a: ArrayLike<number>, b: ArrayLike<number>): boolean =>
  a.length === b.length && Array.from(a).every((x, i) => Object.is(x, b[i]));

/** Whether two trees have the same leaves, bit for bit. */
export function sameTree(a: Params, b: Params): boolean {
  const [ours, theirs] = [leaves<NdArray>(a), leaves<NdArray>(b)];
  const same = ([path, leaf]: [string, NdArray], i: number): boolean =>
    path === theirs[i][0] && sameShape(leaf.shape, theirs[i][1].shape) && sameData(leaf.data, theirs[i][1].data);
  return ours.length === theirs.length && ours.every(same);
}

/** The largest |a − b|. */
export const largestGap = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((worst, x, i) => Math.max(worst, Math.abs(x - b[i])), 0);

/** The message of what `run` throws, or undefined if it throws nothing. */
export function thrownBy(run: () => unknown): Error | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
