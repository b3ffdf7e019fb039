/** The model card of a run: a README.md beside its weights, in the form that model hubs read. */
import type {ConfiguredAlgorithm} from '../algorithm.js';
import type {RunConfig} from '../run/runSchema.js';
import type {Evaluation, RunSummary} from '../run/summary.js';
import {version} from '../run/packageInfo.js';
import {writeAtomically} from '../run/writeAtomically.js';
import type {Geometry} from './events.js';
import type {TuneParts} from './tune.js';

const signed = (x: number): string => `${x >= 0 ? '+' : '−'}${Math.abs(x).toFixed(3)}`;

const rowOf = ({metric, before, after, difference: {mean, low, high}}: Evaluation): string =>
  `| ${metric} | ${before.toFixed(3)} | ${after.toFixed(3)} | ${signed(mean)} [${signed(low)}, ${signed(high)}] |`;

/** What was measured, or that nothing was. */
function heldOutLines({evaluation, otherEvaluations, status}: RunSummary, steps: number): string[] {
  if (!evaluation) return [`Not measured: the run ended as \`${status}\`.`];
  return [
    `Videos of \`${evaluation.suite}\` prompts in ${steps} steps without noise, before and after from the same initial noise; paired 95 % interval over prompts.`,
    '',
    '| metric | before | after | difference |',
    '| --- | --- | --- | --- |',
    ...[evaluation, ...otherEvaluations].map(rowOf),
  ];
}

const tunedLine = ({tuning, loraRank, loraAlpha, loraTargets}: RunConfig, trained: number): string =>
  tuning === 'lora'
    ? `a LoRA adapter of ${trained.toLocaleString('en')} parameters: rank ${loraRank}, α ${loraAlpha}, dropout 0, on ${loraTargets.map((t) => `\`${t}\``).join(', ')}`
    : `all ${trained.toLocaleString('en')} parameters of the denoising network`;

/** A setting on one line of a table, whatever text it holds. */
const code = (text: string): string => `\`${text.replace(/[`|\r\n]+/g, ' ')}\``;

/** What was learnt from, and what the reward had to do with it. */
function learntFrom(config: RunConfig, {clips}: ConfiguredAlgorithm): (readonly [string, string])[] {
  const reward = code(config.reward);
  if (clips)
    return [
      ['clips', `${clips.count} of the world's own an iteration, of the stream \`${clips.stream}\``],
      ['reward', `${reward}, measured before and after, not learnt from`],
    ];
  return [
    ['reward', reward],
    ['prompts', `${config.promptsPerIteration} an iteration, of the split \`train\`; ${config.samplesPerPrompt} samples of each`],
  ];
}

/**
 * The text of the card.
 *
 * @param run its `paramsGiven` says whether a program gave the weights to start from, so that `config.policy` does not name them.
 */
export function modelCard(
  {config, algorithm: learner, paramsGiven = false}: Pick<TuneParts, 'config' | 'algorithm' | 'paramsGiven'>,
  geometry: Geometry,
  summary: RunSummary,
): string {
  const {algorithm, environment, preset, policy, seed} = config;
  const lora = config.tuning === 'lora';
  const shipped = policy === 'shipped' && !paramsGiven;
  const base = paramsGiven
    ? 'given by a program'
    : shipped
      ? `those that ship with rlft for ${environment} ${preset}`
      : code(policy);
  const load = `rlft sample --environment ${environment} --preset ${preset} --policy . "a caption"`;
  const facts: readonly (readonly [string, string])[] = [
    ['base weights', base],
    ['tuned', tunedLine(config, geometry.trainedParameters)],
    ['algorithm', `\`${algorithm}\``],
    ...learntFrom(config, learner),
    ['iterations', String(summary.iterations)],
    ['seed', String(seed)],
    ['made with', `rlft ${version()}; every setting is in config.yaml of the run`],
  ];
  return [
    '---',
    `license: ${shipped ? 'mit' : 'other'}`,
    `library_name: rlft`,
    'pipeline_tag: text-to-video',
    `tags: [text-to-video, ${learner.clips ? '' : 'reinforcement-learning, '}${algorithm}${lora ? ', lora' : ''}]`,
    '---',
    '',
    `# ${environment} ${preset}, tuned by ${algorithm}`,
    '',
    '| | |',
    '| --- | --- |',
    ...facts.map(([what, value]) => `| ${what} | ${value} |`),
    '',
    '## Held out',
    '',
    ...heldOutLines(summary, config.evaluation.steps),
    '',
    '## How to load',
    '',
    'In this folder:',
    '',
    '```',
    load,
    '```',
    '',
    lora
      ? '`adapter_model.safetensors` and `adapter_config.json` have the names and orientation of peft; the base weights are needed too. `rlft export . --merge --output merged.safetensors` makes full weights of both.'
      : '`policy.safetensors` holds full weights, the averaged ones that were measured.',
    '',
    '## Licence',
    '',
    shipped ? 'MIT, as rlft and the weights that it ships.' : 'That of the base weights.',
    '',
  ].join('\n');
}

/**
 * Writes the card beside the weights.
 *
 * @throws RlftError if it cannot be written.
 */
export const writeModelCard = (parts: TuneParts, geometry: Geometry, summary: RunSummary): Promise<void> =>
  writeAtomically(parts.folder.card, [modelCard(parts, geometry, summary)]);
