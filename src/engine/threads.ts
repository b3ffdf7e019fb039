/** How many threads an operator gets unless somebody says otherwise. */
import {readFileSync} from 'node:fs';
import {availableParallelism} from 'node:os';

/**
 * Physical cores that this process may use: two threads of one core share its arithmetic units, so more threads than cores make
 * matrix products slower. Where the system does not tell (anything but Linux), the number of logical processors.
 */
export function physicalCores(): number {
  const logical = availableParallelism();
  try {
    const text = readFileSync('/proc/cpuinfo', 'utf8');
    const field = (block: string, name: string): string | undefined =>
      new RegExp(`^${name}\\s*:\\s*(\\d+)`, 'm').exec(block)?.[1];
    const cores = text.split('\n\n').flatMap((block) => {
      const core = field(block, 'core id');
      return core === undefined ? [] : [`${field(block, 'physical id') ?? '0'}/${core}`];
    });
    return cores.length === 0 ? logical : Math.min(logical, new Set(cores).size);
  } catch {
    return logical;
  }
}
