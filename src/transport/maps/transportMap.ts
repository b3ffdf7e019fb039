/** Maps of caption embeddings to where video embeddings lie, of several kinds behind one interface. */
import * as tf from '@tensorflow/tfjs-core';
import {ConfigError, CorruptFileError} from '../../errors.js';
import type {NdArray} from '../../tensor/ndarray.js';
import {leaves, type Branch, type Params} from '../../tensor/tree.js';
import {affine} from './affine.js';
import {entropicMap} from './entropic.js';
import {perceptron} from './perceptron.js';

/** The kinds, in the order of their tables. */
export const mapNames = ['identity', 'l2', 'kl', 'moments', 'neural', 'bures', 'entropic', 'procrustes'] as const;
/** A kind of map. */
export type MapName = (typeof mapNames)[number];

/** A fitted map. */
export interface TransportMap {
  readonly name: MapName;
  readonly params: Params;
  /** Where the parameters came from, for messages. */
  readonly file: string;
  /** `text [B, E]` → `[B, E]`; pure tfjs, so that any device runs and differentiates it. Lengths are not kept at 1. */
  apply(params: Branch<tf.Tensor>, text: tf.Tensor): tf.Tensor;
}

/** What is known of a kind without fitting it. */
export interface MapKind {
  readonly name: MapName;
  /** One line for listings. */
  readonly summary: string;
  /** Whether it is fitted on pairs, which transport does without. */
  readonly usesPairs: boolean;
  /** T, as `TransportMap` has it. */
  readonly apply: TransportMap['apply'];
  /** Shapes of the parameters of a map of width E, in terms of what was found; undefined: any. */
  readonly shapes: (found: ReadonlyMap<string, readonly number[]>, width: number) => Readonly<Record<string, readonly number[]>>;
}

const perceptronShapes: MapKind['shapes'] = (found, width) => {
  const hidden = found.get('0.linear.bias')?.[0] ?? 0;
  const layer = (inputs: number, outputs: number, i: number): Record<string, readonly number[]> => ({
    [`${i}.linear.weight`]: [inputs, outputs],
    [`${i}.linear.bias`]: [outputs],
  });
  const norm = (i: number): Record<string, readonly number[]> => ({[`${i}.norm.scale`]: [hidden], [`${i}.norm.shift`]: [hidden]});
  return {...layer(width, hidden, 0), ...norm(0), ...layer(hidden, hidden, 1), ...norm(1), ...layer(hidden, width, 2)};
};
const affineShapes: MapKind['shapes'] = (_, width) => ({matrix: [width, width], shift: [width]});

const kinds: readonly MapKind[] = [
  {
    name: 'identity',
    summary: 'no map: the contrastive space as it is',
    usesPairs: false,
    apply: (_, text) => tf.clone(text),
    shapes: () => ({}),
  },
  {
    name: 'l2',
    summary: 'a network trained on the squared error of pairs',
    usesPairs: true,
    apply: perceptron,
    shapes: perceptronShapes,
  },
  {
    name: 'kl',
    summary: 'a network trained on the divergence of the softmax of paired features',
    usesPairs: true,
    apply: perceptron,
    shapes: perceptronShapes,
  },
  {
    name: 'moments',
    summary: 'a network trained on the divergence of the two Gaussians',
    usesPairs: false,
    apply: perceptron,
    shapes: perceptronShapes,
  },
  {
    name: 'neural',
    summary: 'neural optimal transport: a network trained against a potential (PISCES)',
    usesPairs: false,
    apply: perceptron,
    shapes: perceptronShapes,
  },
  {
    name: 'bures',
    summary: 'the optimal map between the two Gaussians, in closed form',
    usesPairs: false,
    apply: affine,
    shapes: affineShapes,
  },
  {
    name: 'entropic',
    summary: 'barycentric projection of an entropic plan',
    usesPairs: false,
    apply: entropicMap,
    shapes(found, width) {
      const count = found.get('potentials')?.[0] ?? 0;
      return {targets: [count, width], potentials: [count], shift: [width], epsilon: []};
    },
  },
  {
    name: 'procrustes',
    summary: 'the rotation, scale and shift that fit pairs best',
    usesPairs: true,
    apply: affine,
    shapes: affineShapes,
  },
];

/**
 * What is known of a kind.
 *
 * @throws ConfigError listing the kinds, if there is none of that name.
 */
export function mapKind(name: string): MapKind {
  const found = kinds.find((kind) => kind.name === name);
  if (!found) throw new ConfigError(`unknown transport map "${name}"; known: ${mapNames.join(', ')}.`);
  return found;
}

/**
 * A map made of parameters.
 *
 * @param width E, of the embeddings that it is for.
 * @param where the parameters come from, for messages: the map's `file`.
 * @throws ConfigError if there is no such kind; CorruptFileError if the parameters are not those of such a map.
 */
export function transportMap(name: string, params: Params, width: number, where: string): TransportMap {
  const kind = mapKind(name);
  const arrays = leaves<NdArray>(params);
  const found = new Map(arrays.map(([path, {shape}]) => [path, shape]));
  const wanted = kind.shapes(found, width);
  for (const [path, shape] of Object.entries(wanted)) {
    const given = found.get(path);
    if (given?.join() !== shape.join() || shape.includes(0)) {
      throw new CorruptFileError(
        `${where}: wanted "${path}" [${shape.join(', ')}] of a ${name} map of width ${width}; got ${given ? `[${given.join(', ')}]` : 'no such tensor'}.`,
      );
    }
  }
  const extra = arrays.find(([path]) => !(path in wanted));
  if (extra) throw new CorruptFileError(`${where}: holds "${extra[0]}", which a ${name} map does not have.`);
  return {name: kind.name, params, file: where, apply: kind.apply};
}
