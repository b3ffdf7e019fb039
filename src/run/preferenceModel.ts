/** The weights of the preference reward: a small network on a frozen encoder, in a file of `rlft fit preference`. */
import type {FrozenEncoder} from '../encoder.js';
import {ConfigError, CorruptFileError} from '../errors.js';
import type {Params} from '../tensor/tree.js';
import {hashParams} from './hashParams.js';
import {readWeights, writeWeights} from './weights.js';

/** A fitted network. */
export interface PreferenceModel {
  readonly params: Params;
  /** Where the parameters came from, for messages. */
  readonly file: string;
}

const KIND = 'preference';

/** Writes a network, with the fingerprints by which it is known again. */
export const writePreferenceModel = (
  path: string,
  params: Params,
  encoder: FrozenEncoder,
  metadata: Readonly<Record<string, string>>,
): Promise<void> =>
  writeWeights(path, params, {
    metadata: {
      ...metadata,
      kind: KIND,
      encoder: encoder.encoder.name,
      encoderHash: hashParams(encoder.params),
      hash: hashParams(params),
    },
  });

/**
 * Opens the network that belongs to an encoder.
 *
 * @param source `none`, or a file.
 * @throws ConfigError if there is none, or if it was fitted to other weights of the encoder; CorruptFileError if its tensors are
 * not all those that were fitted.
 */
export async function openPreferenceModel({module, params: weights}: FrozenEncoder, source: string): Promise<PreferenceModel> {
  if (source === 'none') {
    throw new ConfigError(
      'preference: none ships, since it takes annotations; fit one with rlft fit preference and give the file.',
    );
  }
  const {params, metadata} = await readWeights(source);
  if (metadata['kind'] !== KIND) {
    throw new ConfigError(`preference: ${source} is no preference model; give a file of rlft fit preference.`);
  }
  if (metadata['encoderHash'] !== hashParams(weights)) {
    throw new ConfigError(
      `preference: ${source} was fitted to other weights than those of this encoder "${module.name}"; give both files of one pair, or fit anew.`,
    );
  }
  if (metadata['hash'] !== hashParams(params)) {
    throw new CorruptFileError(
      `${source}: wanted the tensors that rlft fit preference wrote; these are others, or not all of them; fit anew.`,
    );
  }
  return {params, file: source};
}
