/**
 * LoRA adapters on the disk as peft and diffusers write them: `adapter_model.safetensors`, whose tensors are called
 * `base_model.model.<layer>.lora_A.weight` `[r, in]` and `….lora_B.weight` `[out, r]`, and `adapter_config.json`.
 *
 * @source peft 0.21, `save_pretrained` and `LoraConfig`.
 */
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {z} from 'zod';
import {ConfigError, CorruptFileError} from '../errors.js';
import {ndarray, type NdArray} from '../tensor/ndarray.js';
import {leaves, unflatten, type Params} from '../tensor/tree.js';
import {adapterConfigFile, adapterFile} from './runFolder.js';
import {readWeights, writeWeights} from './weights.js';
import {fileError, writeAtomically} from './writeAtomically.js';

const PREFIX = 'base_model.model.';

/** An adapter and what it belongs to. */
export interface SavedAdapter {
  /** Leaves `A` `[in, r]` and `B` `[r, out]` under the path of each layer. */
  readonly adapter: Params;
  readonly rank: number;
  readonly alpha: number;
  readonly targets: readonly string[];
  /** The weights beneath it, in the words of the setting `policy`; null if a program gave them as arrays. */
  readonly base: string | null;
  /** {@link hashParams} of these weights. */
  readonly baseHash: string;
  /** The world and the size that they are a policy of. */
  readonly environment: string;
  readonly preset: string;
}

/** What is read of an adapter_config.json. What would change the numbers, and is not implemented, must be off. */
const configSchema = z.object({
  peft_type: z.literal('LORA'),
  base_model_name_or_path: z.string().min(1).nullable(),
  r: z.int().min(1),
  lora_alpha: z.number().positive(),
  target_modules: z.array(z.string()),
  bias: z.literal('none').default('none'),
  use_rslora: z.literal(false).default(false),
  use_dora: z.literal(false).default(false),
  fan_in_fan_out: z.literal(false).default(false),
  rank_pattern: z.strictObject({}).default({}),
  alpha_pattern: z.strictObject({}).default({}),
});

function transposed({shape: [rows, columns], data}: NdArray): NdArray<'float32'> {
  const turned = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) turned[j * rows + i] = data[i * columns + j];
  return ndarray('float32', [columns, rows], turned);
}

/**
 * Writes an adapter's two files into a folder.
 *
 * @throws RlftError if they cannot be written.
 */
export async function writeAdapter(
  folder: string,
  saved: SavedAdapter,
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const tensors = leaves<NdArray>(saved.adapter).map(
    ([path, factor]) => [`${PREFIX}${path.replace(/\.([AB])$/, '.lora_$1')}.weight`, transposed(factor)] as const,
  );
  const {baseHash, environment, preset} = saved;
  await writeWeights(join(folder, adapterFile), unflatten(tensors), {
    metadata: {format: 'pt', environment, preset, baseHash, ...metadata},
  });
  const config = {
    peft_type: 'LORA',
    task_type: null,
    base_model_name_or_path: saved.base,
    r: saved.rank,
    lora_alpha: saved.alpha,
    lora_dropout: 0,
    target_modules: saved.targets,
    bias: 'none',
    fan_in_fan_out: false,
    use_rslora: false,
    use_dora: false,
    init_lora_weights: true,
    inference_mode: true,
    modules_to_save: null,
    rank_pattern: {},
    alpha_pattern: {},
  };
  await writeAtomically(join(folder, adapterConfigFile), [`${JSON.stringify(config, null, 2)}\n`]);
}

/**
 * Reads an adapter back.
 *
 * @param folder that holds both files.
 * @throws RlftError if one is missing; ConfigError if the configuration is not one of LoRA, or asks for more than plain LoRA;
 * CorruptFileError if tensors are not what it says.
 */
export async function readAdapter(folder: string): Promise<SavedAdapter> {
  const config = await readConfig(join(folder, adapterConfigFile));
  const where = join(folder, adapterFile);
  const {params, metadata} = await readWeights(where);
  const factors = leaves<NdArray>(params).map(([name, tensor]): [string, NdArray] => {
    const [, path, letter] = /^base_model\.model\.(.+)\.lora_([AB])\.weight$/.exec(name) ?? [];
    const rank = tensor.shape[letter === 'A' ? 0 : 1];
    if (path === undefined || tensor.shape.length !== 2 || rank !== config.r) {
      throw new CorruptFileError(
        `${where}: wanted ${PREFIX}<layer>.lora_A.weight [${config.r}, in] or lora_B.weight [out, ${config.r}]; got "${name.slice(0, 80)}" [${tensor.shape.join(', ')}].`,
      );
    }
    return [`${path}.${letter}`, transposed(tensor)];
  });
  const names = new Set(factors.map(([path]) => path));
  for (const name of names) {
    const other = name.endsWith('.A') ? `${name.slice(0, -1)}B` : `${name.slice(0, -1)}A`;
    if (!names.has(other)) throw new CorruptFileError(`${where}: wanted both factors of each layer; "${other}" is missing.`);
  }
  return {
    adapter: unflatten(factors),
    rank: config.r,
    alpha: config.lora_alpha,
    targets: config.target_modules,
    base: config.base_model_name_or_path,
    baseHash: metadata['baseHash'] ?? '',
    environment: metadata['environment'] ?? '',
    preset: metadata['preset'] ?? '',
  };
}

async function readConfig(path: string): Promise<z.output<typeof configSchema>> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => Promise.reject(fileError('read', path, cause)));
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new ConfigError(`${path}: wanted JSON; got ${JSON.stringify(text.slice(0, 40))}.`, {cause});
  }
  const found = configSchema.safeParse(json);
  if (found.success) return found.data;
  const [{path: key, message}] = found.error.issues;
  throw new ConfigError(`${path}: ${key.join('.')}: ${message}; rlft reads plain LoRA adapters, such as those of tuning: lora.`);
}
