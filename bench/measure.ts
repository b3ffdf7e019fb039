/** Timing and the JSON lines of the peer's benchmarks, so that its compare.py pairs ours with theirs. */
import {loadavg} from 'node:os';

/** Threads of one operator, as the peer's scripts read them. */
export const THREADS = Number(process.env['BENCH_THREADS'] ?? 2);
/** Multiplies every repetition count. */
const REPETITIONS = Number(process.env['BENCH_REPS'] ?? 1);

/** Clips of one pass, if the environment asks for others than the preset has. */
export const microOr = (preset: number): number => Number(process.env['BENCH_MICRO'] ?? preset);

/** Seconds of one repetition: on the clock, and of the processor in all threads of this process. */
export interface Took {
  readonly wall: number;
  readonly cpu: number;
}

/** Runs `fn` a few times to warm up and then `n` times (times BENCH_REPS) with the clock on. */
export async function repeat(n: number, warm: number, fn: () => Promise<void>): Promise<Took[]> {
  for (let i = 0; i < warm; i++) await fn();
  const times: Took[] = [];
  for (let i = 0; i < Math.max(1, Math.round(n * REPETITIONS)); i++) {
    const before = process.cpuUsage();
    const start = performance.now();
    await fn();
    const used = process.cpuUsage(before);
    times.push({wall: (performance.now() - start) / 1000, cpu: (used.user + used.system) / 1e6});
  }
  return times;
}

const rounded = (x: number, digits = 6): number => Number(x.toFixed(digits));

/**
 * Prints one line.
 *
 * @param clips (or other things) of a repetition: `value` is how many a second, in `unit`; without, it is seconds.
 * @param operations floating-point operations of a repetition.
 * @param variant what is added to the engine's name where the work is not the peer's.
 */
export function emit(
  name: string,
  times: readonly Took[],
  {
    clips,
    operations,
    variant = '',
    unit = clips === undefined ? 's' : 'clips/s',
    ...more
  }: {clips?: number; operations?: number; variant?: string; unit?: string; [extra: string]: unknown},
): void {
  const wall = times.map((t) => t.wall).sort((a, b) => a - b);
  const cpu = Math.min(...times.map((t) => t.cpu));
  const value = (seconds: number): number => rounded(clips === undefined ? seconds : clips / seconds);
  const line = {
    name: `${name}/rlft${variant}`,
    value: value(wall[0]),
    unit,
    n: times.length,
    min: rounded(wall[0]),
    median: rounded((wall[Math.floor((wall.length - 1) / 2)] + wall[Math.floor(wall.length / 2)]) / 2),
    cpu: rounded(cpu),
    ...(THREADS === 1 && {value_cpu: value(cpu)}),
    load1: rounded(loadavg()[0], 2),
    ...(operations !== undefined && {
      gflops: rounded(operations / wall[0] / 1e9, 1),
      gflops_cpu: rounded(operations / cpu / 1e9, 1),
    }),
    rss_mb: Math.round(process.resourceUsage().maxRSS / 1024),
    threads: THREADS,
    ...more,
  };
  console.log(JSON.stringify(line));
}
