/** `rlft study costs`: how much does it matter how the cost's terms are weighed? */
import {z} from 'zod';
import {ConfigError} from '../errors.js';
import {costsStudy} from '../study/costs.js';
import {itemSettings} from './studyMatching.js';
import {probesOf, studySettings, type Studying} from './studying.js';

/** Which plan is made. */
export const planSettings = {
  solver: z
    .enum(['unbalanced', 'partial', 'balanced'])
    .default('unbalanced')
    .describe("Problem that the plans solve; unbalanced is the released code's."),
  mass: z.number().gt(0).max(1).default(0.9).describe('Mass of the plans, m, of which a balanced one has no choice; in (0, 1].'),
};

/** @throws ConfigError if a mass is given to plans that have none. */
export function checkMass({solver, mass}: {readonly solver: string; readonly mass: number}): void {
  if (solver === 'balanced' && mass !== planSettings.mass.parse(undefined))
    throw new ConfigError('mass: has no effect in this study: a balanced plan moves all.');
}

const schema = z.strictObject({...studySettings, ...itemSettings, ...planSettings});

/** Figure 8. */
export const costsStudying: Studying<z.output<typeof schema>> = {
  schema,
  check: checkMass,
  run: ({items, epsilon, margin, seed, draws, solver, mass}, {environment, frozen, device, report}) =>
    costsStudy({device, frozen, probes: probesOf(environment), items, epsilon, margin, seed, draws, solver, mass, report}),
};
