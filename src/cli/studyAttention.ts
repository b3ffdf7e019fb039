/** `rlft study attention`: where do words look, before and after transport? */
import {z} from 'zod';
import {attentionStudy} from '../study/attention.js';
import {checkMass, planSettings} from './studyCosts.js';
import {drawsSetting, probesOf, studySettings, type Studying} from './studying.js';

const schema = z.strictObject({
  ...studySettings,
  items: z.int().min(2).default(512).describe('Clips whose attention is measured; ≥ 2.'),
  shown: z.int().min(0).max(64).default(6).describe('Clips of which pictures are drawn; 0 to 64.'),
  ...planSettings,
  epsilon: z.number().positive().default(0.05).describe('Entropy of the plans, ε, on costs from 0 to 1; > 0.'),
  draws: drawsSetting,
});

/** Figure 9. */
export const attentionStudying: Studying<z.output<typeof schema>> = {
  schema,
  check: checkMass,
  run: ({items, shown, solver, mass, epsilon, seed, draws}, {environment, frozen, device, report}) =>
    attentionStudy({device, frozen, probes: probesOf(environment), items, shown, solver, mass, epsilon, seed, draws, report}),
};
