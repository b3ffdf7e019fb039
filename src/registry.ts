/** Named things of one kind. */
import {UnknownNameError} from './errors.js';
import {suggestion} from './nearest.js';

/** Names and what they stand for, in the order in which listings show them. */
export interface Registry<T> {
  readonly names: readonly string[];
  /** @throws UnknownNameError with the known names, and the nearest one. */
  get(name: string): T;
  /** Whether there is an entry of this name. */
  has(name: string): boolean;
}

/**
 * A registry of `kind` (as messages call it), such as `reward`.
 *
 * @throws Error if two of its entries have one name.
 */
export function registry<T extends {readonly name: string}>(kind: string, entries: readonly T[]): Registry<T> {
  const known = new Map(entries.map((entry) => [entry.name, entry]));
  if (known.size !== entries.length) throw new Error(`internal: two entries of the ${kind} registry have one name.`);
  const names = [...known.keys()];
  return {
    names,
    has: (name) => known.has(name),
    get(name) {
      const found = known.get(name);
      if (found) return found;
      throw new UnknownNameError(`unknown ${kind} "${name}"${suggestion(name, names)}`);
    },
  };
}
