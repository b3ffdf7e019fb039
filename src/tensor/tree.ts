/**
 * Nested records of leaves: parameters, optimizer state, the inputs and outputs of a compiled function.
 * A leaf's path is its keys joined by dots (`blocks.0.qkv.weight`), which is also its name in a safetensors file.
 */
import {ShapeError} from '../errors.js';
import type {NdArray} from './ndarray.js';

/** A record of leaves and further records. Arrays are not branches: use keys `0`, `1`, … */
export interface Branch<T> {
  readonly [key: string]: Tree<T>;
}
/** A leaf or a branch. */
export type Tree<T> = T | Branch<T>;

/** Parameters of a network, or any other state, as a tree of arrays. */
export type Params = Branch<NdArray>;

/** A branch is a plain record. Anything made by a class is a leaf, and so is any record with a `dtype` and a `shape`. */
export function isBranch<T>(node: Tree<T>): node is Branch<T> {
  if (typeof node !== 'object' || node === null || ('dtype' in node && 'shape' in node)) return false;
  const prototype: unknown = Object.getPrototypeOf(node);
  return prototype === Object.prototype || prototype === null;
}

/** All leaves with their paths, in the order of the keys. */
export function leaves<T>(tree: Tree<T>, prefix = ''): [path: string, leaf: T][] {
  if (!isBranch(tree)) return [[prefix, tree]];
  return Object.entries(tree).flatMap(([key, node]) => leaves(node, prefix === '' ? key : `${prefix}.${key}`));
}

/** A tree of the same form with every leaf replaced. */
export function mapTree<T, U>(tree: Branch<T>, fn: (leaf: T, path: string) => U): Branch<U>;
export function mapTree<T, U>(tree: Tree<T>, fn: (leaf: T, path: string) => U): Tree<U>;
export function mapTree<T, U>(tree: Tree<T>, fn: (leaf: T, path: string) => U): Tree<U> {
  const walk = (node: Tree<T>, prefix: string): Tree<U> =>
    isBranch(node)
      ? Object.fromEntries(
          Object.entries(node).map(([key, child]) => [key, walk(child, prefix === '' ? key : `${prefix}.${key}`)]),
        )
      : fn(node, prefix);
  return walk(tree, '');
}

/**
 * Builds a tree back from paths and leaves.
 *
 * @throws ShapeError if one path is a leaf and also a prefix of another.
 */
export function unflatten<T>(entries: Iterable<readonly [path: string, leaf: T]>): Branch<T> {
  const root: Record<string, Tree<T>> = {};
  for (const [path, leaf] of entries) {
    const keys = path.split('.');
    const last = keys.pop() as string;
    let node = root;
    for (const key of keys) {
      if (!Object.hasOwn(node, key)) node[key] = {};
      const next = node[key];
      if (!isBranch(next)) throw new ShapeError(`unflatten: "${path}" goes through a leaf.`);
      node = next;
    }
    if (Object.hasOwn(node, last)) throw new ShapeError(`unflatten: "${path}" is named twice.`);
    node[last] = leaf;
  }
  return root;
}
