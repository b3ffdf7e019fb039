/** `rlft doctor`: what rlft finds on this machine. */
import {arch, availableParallelism, cpus, freemem, platform, totalmem} from 'node:os';
import {version, versionOf} from '../run/packageInfo.js';
import {printJson, type CommandBody} from './command.js';

const packages = ['onnxruntime-node', '@tensorflow/tfjs-core', 'rxjs', 'mathjs', 'sharp', '@tensorflow/tfjs-node-gpu'];

/** The machine and the installation, as `--json` gives them. */
interface Findings {
  readonly rlft: string;
  readonly node: string;
  readonly platform: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly freeMemoryBytes: number;
  /** Installed versions; null where a package, which may be optional, is not there. */
  readonly packages: Readonly<Record<string, string | null>>;
}

function findings(): Findings {
  return {
    rlft: version(),
    node: process.version,
    platform: `${platform()} ${arch()}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    freeMemoryBytes: freemem(),
    packages: Object.fromEntries(packages.map((name) => [name, versionOf(name) ?? null])),
  };
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

function report(found: Findings): string {
  const rows: [string, string][] = [
    ['rlft', found.rlft],
    ['node', `${found.node} on ${found.platform}`],
    ['processor', `${found.cpu}, ${found.cores} threads`],
    ['memory', `${gibibytes(found.memoryBytes)}, ${gibibytes(found.freeMemoryBytes)} free`],
    ...Object.entries(found.packages).map(([name, installed]): [string, string] => [
      name,
      installed ?? 'not installed (optional)',
    ]),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('');
}

/** The command. */
export const body: CommandBody = {
  options: () => ({json: {type: 'boolean', describe: 'Print one JSON object'}}),
  examples: [['rlft doctor --json', 'the same for scripts and bug reports']],
  async run(argv, io) {
    const found = findings();
    if (argv['json'] === true) printJson(io, found);
    else io.stdout.write(report(found));
  },
};
