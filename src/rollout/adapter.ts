/** Which layers of a policy a LoRA adapter changes, its first values, and what the policy is with it. */
import * as tf from '@tensorflow/tfjs-core';
import type {Environment} from '../environment.js';
import {ConfigError} from '../errors.js';
import {nearest} from '../nearest.js';
import {adaptedWeight, initialLowRank, mergedWeight, type LowRank} from '../numeric/lora.js';
import type {NdArray} from '../tensor/ndarray.js';
import {leaves, unflatten, type Branch, type Params} from '../tensor/tree.js';

/** What is adapted, and how strongly. */
export interface LoraOptions {
  /** Columns of A and rows of B, r. */
  readonly rank: number;
  /** The change is α/r·A·B. */
  readonly alpha: number;
  /** Layers by the end of their names, at a dot: `attention.qkv` is that layer of every block. */
  readonly targets: readonly string[];
  /** A is drawn from it. */
  readonly seed: number;
}

/** A layer that can be adapted: it has a weight matrix `[inputs, outputs]`. */
export interface AdaptedLayer {
  /** `blocks.0.attention.qkv`. */
  readonly path: string;
  readonly inputs: number;
  readonly outputs: number;
}

/** α/r. */
export const scaleOf = ({rank, alpha}: Pick<LoraOptions, 'rank' | 'alpha'>): number => alpha / rank;

/** All layers of a policy, outside its text tower, whose parameter `weight` is a matrix. */
const layersOf = (params: Params, {policy}: Environment): AdaptedLayer[] =>
  leaves<NdArray>(params).flatMap(([path, {shape}]) =>
    path.endsWith('.weight') && shape.length === 2 && !policy.isText(path)
      ? [{path: path.slice(0, -'.weight'.length), inputs: shape[0], outputs: shape[1]}]
      : [],
  );

const endsWith = (path: string, target: string): boolean => path === target || path.endsWith(`.${target}`);

/** The ends of a layer's name that say which layer of a block it is: `attention.qkv` and `qkv` of `blocks.0.attention.qkv`. */
function endsOf(path: string): string[] {
  const words = path.split('.');
  const own = words.slice(words.findLastIndex((word) => /^\d+$/.test(word)) + 1);
  return own.map((_, i) => own.slice(i).join('.'));
}

/**
 * The layers that the options name, in the order of the parameters.
 *
 * @throws ConfigError if a target names no layer, or the rank is more than a layer's smaller side.
 */
export function adaptedLayers(
  environment: Environment,
  params: Params,
  {targets, rank}: Pick<LoraOptions, 'targets' | 'rank'>,
): AdaptedLayer[] {
  const layers = layersOf(params, environment);
  for (const target of targets) {
    if (layers.some(({path}) => endsWith(path, target))) continue;
    const ends = layers.map(({path}) => endsOf(path));
    const near = nearest(target, ends.flat());
    const known = [...new Set(ends.map(([longest]) => longest))].join(', ');
    const advice = near !== undefined ? `did you mean "${near}"?` : known === '' ? 'use tuning: full.' : `known: ${known}.`;
    throw new ConfigError(
      `loraTargets: no weight matrix of ${environment.name} ${environment.preset} is called "${target}"; ${advice}`,
    );
  }
  const chosen = layers.filter(({path}) => targets.some((target) => endsWith(path, target)));
  for (const {path, inputs, outputs} of chosen) {
    if (rank <= Math.min(inputs, outputs)) continue;
    throw new ConfigError(
      `loraRank: wanted at most ${Math.min(inputs, outputs)}, the smaller side of ${path} [${inputs}, ${outputs}]; got ${rank}.`,
    );
  }
  return chosen;
}

/** An adapter that changes nothing yet: leaves `A` and `B` under the path of each layer. */
export const initialAdapter = (layers: readonly AdaptedLayer[], {rank, seed}: LoraOptions): Params =>
  unflatten(
    layers.flatMap(({path, inputs, outputs}) => {
      const {A, B} = initialLowRank(inputs, outputs, rank, {seed, purpose: `lora/${path}`});
      return [[`${path}.A`, A] as const, [`${path}.B`, B] as const];
    }),
  );

/** A layer's name and its factors, for those that the adapter changes. */
function layersIn<T>(adapter: Branch<T>): [path: string, factors: LowRank<T>][] {
  const factors = new Map(leaves<T>(adapter));
  return [...factors].flatMap(([path, A]) =>
    path.endsWith('.A') ? [[path.slice(0, -2), {A, B: factors.get(`${path.slice(0, -1)}B`)!}] as const] : [],
  );
}

/**
 * The adapted network inside a numeric function. Each weight is merged once a call, however many rows go through it, and its
 * factors lie beside it, so that a layer can send its gradient to them directly.
 */
export function adaptedTensors(base: Branch<tf.Tensor>, adapter: Branch<tf.Tensor>, scale: number): Branch<tf.Tensor> {
  const tensors = new Map(leaves<tf.Tensor>(base));
  for (const [path, {A, B}] of layersIn(adapter)) {
    const factors = {A, B: tf.mul(B, scale)};
    tensors.set(`${path}.weight`, adaptedWeight(tensors.get(`${path}.weight`)!, factors));
    for (const [name, factor] of Object.entries(factors)) tensors.set(`${path}.${name}`, factor);
  }
  return unflatten(tensors);
}

/** The adapted network as arrays: full weights that need no adapter. */
export function mergeAdapter(base: Params, adapter: Params, scale: number): Params {
  const arrays = new Map(leaves<NdArray>(base));
  for (const [path, factors] of layersIn(adapter)) {
    arrays.set(`${path}.weight`, mergedWeight(arrays.get(`${path}.weight`)!, factors, scale));
  }
  return unflatten(arrays);
}
