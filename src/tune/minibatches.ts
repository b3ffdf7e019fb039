/** Whether the updates of a pass divide what it learns from. */
import {ConfigError} from '../errors.js';
import type {Geometry} from './events.js';

/**
 * Refuses updates of unequal size: the last one would be made of what is left, or would not take place.
 *
 * @param rewardGradient whether the reward's gradient is used.
 * @throws ConfigError naming the nearest number that divides.
 */
export function checkMinibatches(config: object, {transitions, prompts}: Geometry, rewardGradient: boolean): void {
  const {minibatches, innerEpochs} = config as Readonly<Record<string, unknown>>;
  if (typeof minibatches !== 'number' || typeof innerEpochs !== 'number' || minibatches === 1) return;
  // Where the reward's gradient is used, the samples of a prompt stay together.
  const [units, what] = rewardGradient ? [prompts, 'prompts'] : [Math.floor(transitions / innerEpochs), 'steps'];
  if (units % minibatches === 0) return;
  const divisors = Array.from({length: units}, (_, i) => i + 1).filter((n) => units % n === 0);
  const nearest = divisors.reduce((best, n) => (Math.abs(n - minibatches) < Math.abs(best - minibatches) ? n : best));
  throw new ConfigError(
    `minibatches: wanted a divisor of the ${units} ${what} that a pass learns from; got ${minibatches}; the nearest is ${nearest}.`,
  );
}
