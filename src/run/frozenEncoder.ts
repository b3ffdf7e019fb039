/** A world's video-text encoder with its trained parameters. */
import {fileURLToPath} from 'node:url';
import type {FrozenEncoder} from '../encoder.js';
import type {Environment} from '../environment.js';
import {ConfigError, CorruptFileError} from '../errors.js';
import type {NdArray} from '../tensor/ndarray.js';
import {leaves} from '../tensor/tree.js';
import {transportMap, type TransportMap} from '../transport/maps/transportMap.js';
import {hashParams} from './hashParams.js';
import {readWeights} from './weights.js';

/**
 * Opens an encoder of a world.
 *
 * @param source `shipped` for the first encoder of the world, the name of one of them, or a safetensors file of
 * `rlft pretrain encoder`, which says in its metadata which of them it is.
 * @throws ConfigError if the world has no such encoder, or ships no weights for it; CorruptFileError if tensors are missing or of
 * another shape.
 */
export async function openFrozenEncoder(environment: Environment, source: string): Promise<FrozenEncoder> {
  const {encoders = [], name, preset} = environment;
  if (encoders.length === 0) throw new ConfigError(`encoder: the environment ${name} has none; this reward needs one.`);
  const named = source === 'shipped' ? encoders[0] : encoders.find((module) => module.name === source);
  if (named && !named.weights) {
    throw new ConfigError(
      `encoder: ${name} ${preset} ships no weights of its encoder "${named.name}"; train it with rlft pretrain encoder and give the file.`,
    );
  }
  const file = named?.weights ? fileURLToPath(named.weights) : source;
  const {params, metadata} = await readWeights(file);
  const module = named ?? encoders.find((candidate) => candidate.name === metadata['encoder']);
  if (!module) {
    const names = encoders.map((candidate) => candidate.name).join(', ');
    throw new ConfigError(
      `encoder: ${source} holds the encoder "${metadata['encoder'] ?? '?'}"; ${name} ${preset} has ${names}. Give a file of rlft pretrain encoder.`,
    );
  }
  const found = new Map(leaves<NdArray>(params));
  for (const [path, wanted] of leaves<NdArray>(module.initialise(0))) {
    const tensor = found.get(path);
    if (tensor?.shape.join() !== wanted.shape.join()) {
      throw new CorruptFileError(
        `encoder: ${source}: wanted "${path}" [${wanted.shape.join(', ')}]; got ${tensor ? `[${tensor.shape.join(', ')}]` : 'no such tensor'}.`,
      );
    }
  }
  return {module, encoder: module.encoder, params, file};
}

/**
 * Opens the transport map that belongs to an encoder.
 *
 * @param source `shipped`, or a safetensors file of `rlft fit transport`.
 * @throws ConfigError if none ships, or if it was fitted to other weights of the encoder; CorruptFileError if the file holds no
 * map of the encoder's width.
 */
export async function openTransportMap({module, params: weights}: FrozenEncoder, source: string): Promise<TransportMap> {
  const given = source === 'shipped' ? module.map : source;
  if (given === undefined) {
    throw new ConfigError(
      `transport: no map ships with the encoder "${module.name}"; fit one with rlft fit transport and give the file.`,
    );
  }
  const file = given instanceof URL ? fileURLToPath(given) : given;
  const {params, metadata} = await readWeights(file);
  const fittedTo = metadata['encoderHash'];
  if (fittedTo !== undefined && fittedTo !== hashParams(weights)) {
    throw new ConfigError(
      `transport: ${file} was fitted to other weights than those of this encoder "${module.name}"; give both files of one pair, or fit anew.`,
    );
  }
  return transportMap(metadata['map'] ?? 'none', params, module.encoder.embeddingWidth, file);
}
