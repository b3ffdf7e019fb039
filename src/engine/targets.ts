/** Which resident arrays the outputs of a call replace: one set of rules for every device. */
import {ShapeError} from '../errors.js';
import {leaves} from '../tensor/tree.js';
import type {CallOptions, Resident} from './device.js';

/** One output of a function, as it came out or will. */
export interface OutputSlot {
  readonly path: string;
  readonly dtype: string;
  readonly shape: readonly number[];
}

/**
 * The resident array of each output, or null where it comes back.
 *
 * @throws ShapeError if a branch that goes into resident arrays has an output without one, or the other way round; if one does
 * not fit; or if one is to hold two outputs.
 */
export function targetsOf(name: string, outputs: readonly OutputSlot[], into: CallOptions['into'] = {}): (Resident | null)[] {
  const targets = new Map<string, Resident>(Object.entries(into).flatMap(([key, tree]) => leaves(tree, key)));
  const taken = new Map<number, string>();
  const found = outputs.map(({path, dtype, shape}) => {
    const target = targets.get(path);
    if (!target) {
      if (path.split('.', 1)[0] in into) throw new ShapeError(`${name}: output "${path}" has no resident array to go into.`);
      return null;
    }
    if (target.dtype !== dtype || target.shape.join() !== shape.join()) {
      throw new ShapeError(
        `${name}: output "${path}" is ${dtype} [${shape.join(', ')}]; its resident array is ${target.dtype} [${target.shape.join(', ')}].`,
      );
    }
    const other = taken.get(target.id);
    if (other !== undefined) throw new ShapeError(`${name}: outputs "${other}" and "${path}" go into one resident array.`);
    taken.set(target.id, path);
    targets.delete(path);
    return target;
  });
  const [unused] = targets.keys();
  if (unused !== undefined)
    throw new ShapeError(`${name}: there is no output "${unused}" to go into the resident array of that name.`);
  return found;
}

/**
 * The positions of the outputs that must be finite.
 *
 * @throws ShapeError if one is no output.
 */
export function guardsOf(name: string, outputs: readonly OutputSlot[], guard: CallOptions['guard'] = []): number[] {
  return guard.map((path) => {
    const i = outputs.findIndex((o) => o.path === path);
    if (i < 0) throw new ShapeError(`${name}: there is no output "${path}" to guard.`);
    return i;
  });
}
