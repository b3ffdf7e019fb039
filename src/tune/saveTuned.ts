/** What a run leaves to use: the tuned weights, or the adapter that was tuned. */
import type {ResidentLearner} from '../learn/learner.js';
import {writeAdapter} from '../run/adapterFiles.js';
import {hashParams} from '../run/hashParams.js';
import {writeWeights} from '../run/weights.js';
import {loraOf} from './schema.js';
import type {TuneParts} from './tune.js';

/**
 * Writes `policy.safetensors`, or with LoRA `adapter_model.safetensors` and `adapter_config.json`, of the averaged policy.
 *
 * @throws RlftError if a file cannot be written.
 */
export async function saveTuned(
  {config, folder, environment, params, paramsGiven = false}: TuneParts,
  learner: ResidentLearner,
  iterations: number,
): Promise<void> {
  const metadata = {iterations: String(iterations)};
  const lora = loraOf(config);
  if (!lora) return writeWeights(folder.policy, await learner.averagedParams(), {metadata});
  const {name, preset} = environment;
  const base = paramsGiven ? null : config.policy;
  const belongs = {base, baseHash: hashParams(params), environment: name, preset};
  await writeAdapter(folder.path, {...lora, ...belongs, adapter: await learner.averagedTrained()}, metadata);
}
