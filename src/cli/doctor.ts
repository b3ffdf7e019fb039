/** `rlft doctor`: what rlft finds on this machine, with a self-test of two seconds on every device that runs. */
import {arch, cpus, freemem, platform, totalmem} from 'node:os';
import {deviceNames, type DeviceName} from '../engine/devices.js';
import {diagnose, type DeviceDiagnosis} from '../engine/doctor.js';
import {version, versionOf} from '../run/packageInfo.js';
import {printJson, type CommandBody} from './command.js';

const packages = ['onnxruntime-node', '@tensorflow/tfjs-core', 'rxjs', 'mathjs', 'sharp', '@tensorflow/tfjs-node-gpu'];

/** The machine and the installation, as `--json` gives them. */
interface Findings {
  readonly rlft: string;
  readonly node: string;
  readonly platform: string;
  readonly cpu: string;
  /** Logical processors that this process may use. */
  readonly cores: number;
  /** Threads of one operator by default: physical cores. */
  readonly threads: number;
  readonly memoryBytes: number;
  readonly freeMemoryBytes: number;
  /** Installed versions; null where a package, which may be optional, is not there. */
  readonly packages: Readonly<Record<string, string | null>>;
  /** Each device: available or why not; speed and exactness of its self-test. */
  readonly devices: readonly DeviceDiagnosis[];
}

async function findings(names: readonly DeviceName[]): Promise<Findings> {
  const {cores, threads, devices} = await diagnose(names);
  return {
    rlft: version(),
    node: process.version,
    platform: `${platform()} ${arch()}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores,
    threads,
    memoryBytes: totalmem(),
    freeMemoryBytes: freemem(),
    packages: Object.fromEntries(packages.map((name) => [name, versionOf(name) ?? null])),
    devices,
  };
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/** What the self-test found, or what is missing. */
function verdict({available, reason, remedy, gflops, gradientError, whole}: DeviceDiagnosis): string {
  if (!available) return `not here: ${reason}; ${remedy}`;
  const parts = [
    gflops === undefined ? [] : [`${gflops.toPrecision(3)} GFLOP/s`],
    gradientError === undefined ? [] : [`gradient error ${gradientError.toExponential(0)}`],
    whole === false ? ['part of the work runs on the CPU'] : [],
  ].flat();
  return `runs here: ${parts.join(', ')}`;
}

function report(found: Findings): string {
  const rows: [string, string][] = [
    ['rlft', found.rlft],
    ['node', `${found.node} on ${found.platform}`],
    ['processor', `${found.cpu}, ${found.cores} logical processors; ${found.threads} threads by default`],
    ['memory', `${gibibytes(found.memoryBytes)}, ${gibibytes(found.freeMemoryBytes)} free`],
    ...Object.entries(found.packages).map(([name, installed]): [string, string] => [
      name,
      installed ?? 'not installed (optional)',
    ]),
    ...found.devices.map((device): [string, string] => [`device ${device.name}`, verdict(device)]),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('');
}

/** The command. */
export const body: CommandBody = {
  options: () => ({
    json: {type: 'boolean', describe: 'Print one JSON object'},
    device: {type: 'string', choices: deviceNames, describe: 'Try this device alone'},
  }),
  examples: [
    ['rlft doctor --json', 'the same for scripts and bug reports'],
    ['rlft doctor --device cuda', 'why a device does not run, or how fast it does'],
  ],
  async run(argv, io) {
    const one = argv['device'] as DeviceName | undefined;
    const found = await findings(one === undefined ? deviceNames : [one]);
    if (argv['json'] === true) printJson(io, found);
    else io.stdout.write(report(found));
  },
};
