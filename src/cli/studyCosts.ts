/** `rlft study costs`: how much does it matter how the cost's terms are weighed? */
import {z} from 'zod';
import {ConfigError} from '../errors.js';
import {BEST_WEIGHT} from '../study/attentionSettings.js';
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

/**
 * Refuses a mass that would have no effect.
 *
 * @throws ConfigError if a mass is given to plans that have none.
 */
export function checkMass({solver, mass}: {readonly solver: string; readonly mass: number}): void {
  if (solver === 'balanced' && mass !== planSettings.mass.parse(undefined))
    throw new ConfigError('mass: has no effect in this study: a balanced plan moves all.');
}

const schema = z.strictObject({
  ...studySettings,
  ...itemSettings,
  ...planSettings,
  weights: z
    .array(z.number().min(0))
    .default([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    .describe('Weights that are tried of time and of place, 0 and 0.2 among them; ≥ 0 each.'),
});

/** Figure 8. */
export const costsStudying: Studying<z.output<typeof schema>> = {
  schema,
  check(config) {
    checkMass(config);
    const {weights} = config;
    if (!weights.includes(0) || !weights.includes(BEST_WEIGHT) || new Set(weights).size < weights.length)
      throw new ConfigError(`weights: wanted different ones, 0 and ${BEST_WEIGHT} among them; got ${weights.join(', ')}.`);
  },
  run: ({items, epsilon, margin, seed, draws, solver, mass, weights}, {environment, frozen, device, report}) =>
    costsStudy({
      device,
      frozen,
      probes: probesOf(environment),
      items,
      epsilon,
      margin,
      seed,
      draws,
      solver,
      mass,
      weights,
      report,
    }),
};
