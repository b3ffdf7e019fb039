/** The course of the learner's rate, from the settings of the optimizer: a function of the number of updates and of nothing else. */
import type {OptimizerOptions} from '../algorithm.js';
import type {LearningRateSchedule} from '../numeric/optim/learningRate.js';

/** For {@link learningRate}, which the learner asks for the rate of update n, counted from 1: so the first of a warm-up moves. */
export function rateSchedule({
  learningRate: rate,
  warmup: warmUp = 0,
  schedule: kind = 'constant',
  scheduleUpdates: steps = 0,
  finalRate = 0,
}: OptimizerOptions): LearningRateSchedule {
  return kind === 'constant' ? {kind, rate, warmUp} : {kind, rate, warmUp, steps, final: finalRate * rate};
}
