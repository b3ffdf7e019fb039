/**
 * The parity guard: a stored step, scored again by the policy that took it, must give the log-probability that was stored.
 *
 * If it does not, every importance ratio is wrong and the policy learns from noise; this is the commonest silent fault of such
 * trainers (rounding to half precision, a rebuilt schedule, another guidance scale). So it is measured at every iteration, and
 * the run stops by name when it is beyond the bound.
 */
import type {Learner, Scored} from '../algorithm.js';
import {RlftError} from '../errors.js';
import {gatherTransitions, stochasticTransitions} from './transitions.js';

/**
 * Mean |logp − logp_old| over some transitions of a batch: how far their ratios are from 1.
 *
 * @param policy under which they are scored again: the trained one, or the one that samples rollouts.
 * @returns nats per element; undefined where no step is stochastic: without a density there is nothing to compare.
 */
export async function ratioGapOf(learner: Learner, scored: Scored, policy: 'trained' | 'acting'): Promise<number | undefined> {
  const refs = stochasticTransitions([scored]).slice(0, learner.microbatch);
  if (refs.length === 0) return undefined;
  const batch = gatherTransitions([scored], refs, [new Float32Array(scored.rewards.length)]);
  const {ratioGap} = await learner.evaluate(batch, policy);
  return (ratioGap?.data[0] ?? 0) / refs.length;
}

/**
 * The same under the policy that sampled them, which must not have moved since.
 *
 * @returns as `ratioGapOf`.
 * @throws RlftError if it is above the bound.
 */
export async function checkParity(learner: Learner, scored: Scored, bound: number): Promise<number | undefined> {
  const gap = await ratioGapOf(learner, scored, 'acting');
  if (gap !== undefined && !(gap <= bound)) {
    throw new RlftError(
      `parity: replaying stored steps under unchanged weights changes their log-probability by ${gap.toExponential(2)} a step; the bound is ${bound}. Ratios would be noise: the sampler's table, the guidance scale or the stored latents differ between rollout and update.`,
    );
  }
  return gap;
}
