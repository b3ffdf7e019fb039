/** `rlft export <run>`: the weights that a run tuned, to use elsewhere. */
import {ConfigError} from '../errors.js';
import {exportTuned} from '../tune/export.js';
import {printJson, type CommandBody} from './command.js';

/** The command. */
export const body: CommandBody = {
  positionals: {run: {type: 'string', describe: 'Folder of a run, or of an adapter', demandOption: true}},
  options: () => ({
    merge: {type: 'boolean', describe: 'Merge the adapter into the base weights: full weights in one file'},
    output: {type: 'string', requiresArg: true, describe: 'With --merge a safetensors file, otherwise a folder'},
    force: {type: 'boolean', describe: 'Replace files that are there'},
    json: {type: 'boolean', describe: 'Print the files as one JSON object on stdout'},
  }),
  examples: [
    [
      'rlft export runs/ddpo-1 --output my-adapter',
      "adapter_model.safetensors and adapter_config.json with peft's names, README.md",
    ],
    [
      'rlft export runs/ddpo-1 --merge --output merged.safetensors',
      'full weights for rlft sample --policy and rlft run --policy',
    ],
  ],
  async run(argv, io) {
    const output = argv['output'] as string | undefined;
    const merge = argv['merge'] === true;
    if (output === undefined) {
      throw new ConfigError(`--output: wanted ${merge ? 'a file, such as merged.safetensors' : 'a folder'}; got nothing.`);
    }
    const files = await exportTuned({folder: argv['run'] as string, merge, output, force: argv['force'] === true});
    if (argv['json'] === true) printJson(io, {files});
    else for (const file of files) io.stdout.write(`${file}\n`);
  },
};
