/** The samplers by the names that a configuration uses. */
import {alphaBars, flowSigmas, timesteps} from '../schedule.js';
import {cps} from './cps.js';
import {danceSde} from './danceSde.js';
import {ddim} from './ddim.js';
import {flowSde} from './flowSde.js';
import {ode} from './ode.js';
import type {Transition} from './sampler.js';
import type {Density} from '../transition.js';

/** Names of the stochastic samplers. */
export const samplerNames = ['flowSde', 'ddim', 'cps', 'danceSde'] as const;
/** One of them. */
export type SamplerName = (typeof samplerNames)[number];

/** Time shift of the flow samplers: more steps at high noise, where structure is decided. */
export const FLOW_SHIFT = 3;

const sigmasOf = (steps: number): number[] => flowSigmas(steps, {shift: FLOW_SHIFT});

/** A stochastic table and the deterministic one of the same steps. */
export interface SamplerTables {
  readonly stochastic: readonly Transition[];
  readonly deterministic: readonly Transition[];
  /** How a step of the stochastic table is scored. */
  readonly density: Density;
}

/**
 * Tables of a sampler.
 *
 * @param noiseLevel a of flowSde and cps, η of ddim and danceSde.
 * @throws ConfigError if the noise level is outside the sampler's range.
 */
export function samplerTables(name: SamplerName, steps: number, noiseLevel: number): SamplerTables {
  if (name === 'ddim') {
    // Stable Diffusion's schedule, as in DDPO; the flow policy sees it through the exact change of variables.
    const schedule = {
      alphas: alphaBars({kind: 'scaledLinear', betaStart: 0.00085, betaEnd: 0.012}),
      timesteps: timesteps('trailing', steps),
    };
    return {stochastic: ddim({...schedule, eta: noiseLevel}), deterministic: ddim({...schedule, eta: 0}), density: 'gaussian'};
  }
  const sigmas = sigmasOf(steps);
  const deterministic = ode(sigmas);
  switch (name) {
    case 'flowSde':
      return {stochastic: flowSde(sigmas, {noiseLevel}), deterministic, density: 'gaussian'};
    case 'danceSde':
      return {stochastic: danceSde(sigmas, {noiseLevel}), deterministic, density: 'gaussian'};
    case 'cps':
      return {stochastic: cps(sigmas, {noiseLevel}), deterministic, density: 'cps'};
  }
}

/** The deterministic table that evaluations and samples use. */
export const odeTable = (steps: number): readonly Transition[] => ode(sigmasOf(steps));
