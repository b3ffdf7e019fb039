/** The deterministic sampler of flow models, and windows of stochastic steps within it. */
import {ConfigError} from '../../errors.js';
import {checkSigmas, flowTable, type Transition} from './sampler.js';

/**
 * Euler steps of the probability-flow ODE: x' = (σ'/σ)·x + (1 − σ'/σ)·x̂0.
 *
 * @throws ConfigError if the noise levels do not fall within [0, 1].
 */
export function ode(sigmas: readonly number[]): Transition[] {
  checkSigmas('ode', sigmas);
  return flowTable(sigmas, () => 0, 'ode');
}

/**
 * Stochastic steps inside a window, deterministic ones outside: only the window's steps have a density to train on.
 *
 * @param stochastic table of the whole trajectory.
 * @param deterministic table of the same steps, from `ode` or from `ddim` with eta 0.
 * @param start first step of the window.
 * @param size number of its steps; a window that sticks out at the end is cut.
 * @source Li et al. 2025, "MixGRPO".
 * @throws ConfigError if the tables have different times, or the window does not begin inside them.
 */
export function windowed(
  stochastic: readonly Transition[],
  deterministic: readonly Transition[],
  start: number,
  size: number,
): Transition[] {
  if (stochastic.length !== deterministic.length || stochastic.some((row, i) => row.time !== deterministic[i].time)) {
    throw new ConfigError('windowed: the two tables must have the same steps; make both from the same noise levels.');
  }
  if (!Number.isInteger(start) || !Number.isInteger(size) || start < 0 || start >= stochastic.length || size < 1) {
    throw new ConfigError(`windowed: the window must begin in [0, ${stochastic.length}) and hold a step; got ${start}, ${size}.`);
  }
  return stochastic.map((row, i) => (i >= start && i < start + size ? row : deterministic[i]));
}
