/** `rlft plan <algorithm>`: what `rlft run` with the same flags would do. Parsing and printing; the work is `src/tune/plan.ts`. */
import {algorithms} from '../builtins.js';
import {renderConfig} from '../run/config.js';
import {planRun, type Plan} from '../tune/plan.js';
import {tuneSchema} from '../tune/schema.js';
import {DEVICE_BATCH} from '../tune/tune.js';
import {printJson, type CommandBody} from './command.js';
import {configFlags, configSources, otherFlagNames} from './configFlags.js';
import {duration, shortNumber} from './progress.js';
import {algorithmIn, geometryLines, resolveRun} from './run.js';

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const seconds = (x: number): string => shortNumber(Number(x.toPrecision(2)));

/** The plan in words. */
function planLines({geometry, rolloutBatches, predictions, bytes, time}: Plan, device: string): string[] {
  const {rollout, learning, distillation, evaluation, look} = predictions;
  return [
    ...geometryLines(geometry, device),
    `an iteration: ${rollout} predictions in ${rolloutBatches} rollout batch${rolloutBatches === 1 ? '' : 'es'}, ${learning} with gradient${distillation > 0 ? `, ${distillation} of the distillation's teacher and target` : ''}, at most ${DEVICE_BATCH} at once`,
    `before and after: ${evaluation} predictions; a look of the monitor: ${look}`,
    `memory: weights ${mebibytes(bytes.parameters)}, optimizer ${mebibytes(bytes.optimizer)}, trajectories ${mebibytes(bytes.trajectories)}, besides what the runtime takes`,
    ...(time
      ? [
          `measured: ${seconds(time.rolloutSeconds)} s to roll out and score, ${seconds(time.updateSeconds)} s to learn, an iteration; ${time.iterations} iterations in ${duration(time.runSeconds)}, evaluations left out`,
        ]
      : []),
  ];
}

/** The command. */
export const body: CommandBody = {
  positionals: {algorithm: {type: 'string', describe: `Optimizer: ${algorithms.names.join(', ')}`, demandOption: true}},
  options: (args) => ({
    ...configFlags(tuneSchema(algorithms.get(algorithmIn(args))), ['algorithm']),
    measure: {
      type: 'boolean',
      default: true,
      describe: 'Measure one rollout batch and the updates on it; --no-measure counts only',
    },
    json: {type: 'boolean', describe: 'Print the plan as one JSON object on stdout'},
  }),
  otherNames: otherFlagNames,
  examples: [
    ['rlft plan grpo --samples-per-prompt 24', 'what such a run would take'],
    ['rlft plan ddpo --no-measure --json', 'counts alone, for scripts'],
  ],
  async run(argv, io) {
    const algorithm = algorithms.get(argv['algorithm'] as string);
    const schema = tuneSchema(algorithm);
    const {value: config, origins} = await resolveRun(algorithm, await configSources(argv, schema, ['algorithm']));
    if (argv['print-config'] === true) {
      io.stdout.write(renderConfig(schema, config, origins));
      return;
    }
    const plan = await planRun({config}, {measure: argv['measure'] === true});
    if (argv['json'] === true) printJson(io, plan);
    else for (const line of planLines(plan, config.device)) io.stdout.write(`${line}\n`);
  },
};
