/** Metrics of an iteration out of the reports of its updates. */
import type {UpdateReport} from '../algorithm.js';

/** Σ/`count` of what the updates report, and of `gradientNorm`. */
export function meanReports(reports: readonly UpdateReport[], count: number): Record<string, number> {
  const means: Record<string, number> = {};
  for (const {metrics, gradientNorm} of reports) {
    for (const [name, value] of Object.entries({...metrics, gradientNorm})) means[name] = (means[name] ?? 0) + value / count;
  }
  return means;
}

/** The same numbers with `prefix` before each name, such as `policy/`. */
export const prefixed = (prefix: string, values: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}${name}`, value]));
