/** `rlft study matching`: does attention refined by transport tell captions apart better? */
import {z} from 'zod';
import {partialSolvers} from '../study/attentionSettings.js';
import {matchingStudy} from '../study/matching.js';
import {drawsSetting, probesOf, studySettings, type Studying} from './studying.js';

/** Settings of every study of matching on counterfactual items. */
export const itemSettings = {
  items: z.int().min(10).default(10_000).describe('Counterfactual items; ≥ 10.'),
  epsilon: z.number().positive().default(0.05).describe('Entropy of the plans, ε, on costs from 0 to 1; > 0.'),
  margin: z
    .number()
    .min(0)
    .lt(1)
    .default(0.005)
    .describe('Smallest difference that counts, as a share of verdicts or of area; ≥ 0.'),
  draws: drawsSetting,
};

const schema = z.strictObject({
  ...studySettings,
  ...itemSettings,
  solver: z
    .enum(['both', ...partialSolvers])
    .default('both')
    .describe("Problem that partial plans solve: the released code's (unbalanced), a true partial mass, or both in turn."),
});

/** Table 7. */
export const matchingStudying: Studying<z.output<typeof schema>> = {
  schema,
  run: ({solver, items, epsilon, margin, seed, draws}, {environment, frozen, device, report}) =>
    matchingStudy({
      device,
      frozen,
      probes: probesOf(environment),
      solvers: solver === 'both' ? partialSolvers : [solver],
      items,
      epsilon,
      margin,
      seed,
      draws,
      report,
    }),
};
