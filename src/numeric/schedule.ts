/**
 * Noise schedules: tables in float64, made once before sampling and never part of a graph.
 *
 * Flow models: x_σ = (1 − σ)·x0 + σ·ε with σ falling from 1 to 0. Diffusion models: x_t = √ᾱ_t·x0 + √(1 − ᾱ_t)·ε over
 * training timesteps 0 … N − 1, with ᾱ falling.
 */
import {ConfigError} from '../errors.js';

/** n evenly spaced numbers, both ends included. */
function linspace(start: number, end: number, n: number): number[] {
  return Array.from({length: n}, (_, i) => (n === 1 ? start : start + ((end - start) * i) / (n - 1)));
}

/** Rounds halves to the even neighbour, as numpy and torch do. */
function roundHalfEven(x: number): number {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

function requirePositiveInteger(where: string, name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) {
    throw new ConfigError(`${where}: ${name} must be a positive integer; got ${value}.`);
  }
}

/**
 * Moves a flow time towards noise: s·t / (1 + (s − 1)·t). Shift 1 changes nothing; "dynamic" shifting is shift = e^μ.
 *
 * @param t in [0, 1].
 * @param shift > 0.
 * @source Esser et al. 2024, "Scaling rectified flow transformers", eq. 23.
 */
export const shiftTime = (t: number, shift: number): number => (shift * t) / (1 + (shift - 1) * t);

/** Options of {@link flowSigmas}. */
export interface FlowSigmaOptions {
  /** Time shift; larger spends more steps near noise. Default 1. */
  readonly shift?: number;
  /**
   * `uniform` (default): evenly spaced times, shifted once; the last step starts at the shifted 1/steps.
   * `diffusers`: what its FlowMatchEulerDiscreteScheduler builds (SD3). Its end points are 1 and the shifted 1/1000, and it
   * shifts again on top: with shift 3 and 10 steps the last step starts at .0089 where `uniform` has .25.
   */
  readonly table?: 'uniform' | 'diffusers';
}

/**
 * Noise levels in acting order: `steps + 1` numbers, 1 first and 0 last.
 *
 * @throws ConfigError if `steps` is not a positive integer or the shift is not positive.
 */
export function flowSigmas(steps: number, {shift = 1, table = 'uniform'}: FlowSigmaOptions = {}): number[] {
  requirePositiveInteger('flowSigmas', 'steps', steps);
  if (!(shift > 0)) throw new ConfigError(`flowSigmas: shift must be positive; got ${shift}.`);
  const times = table === 'uniform' ? linspace(1, 0, steps + 1).slice(0, -1) : linspace(1, shiftTime(1 / 1000, shift), steps);
  return [...times.map((t) => shiftTime(t, shift)), 0];
}

/** How the βs of a diffusion model run over its training timesteps. */
export type BetaSchedule =
  {readonly kind: 'linear' | 'scaledLinear'; readonly betaStart: number; readonly betaEnd: number} | {readonly kind: 'cosine'};

/**
 * ᾱ_t for t = 0 … trainSteps − 1: the running product of 1 − β.
 *
 * @source Ho et al. 2020 (linear); Rombach et al. 2022 (scaledLinear: linear in √β); Nichol & Dhariwal 2021, eq. 17
 * (cosine, β capped at .999).
 * @throws ConfigError if `trainSteps` is not a positive integer.
 */
export function alphaBars(schedule: BetaSchedule, trainSteps = 1000): number[] {
  requirePositiveInteger('alphaBars', 'trainSteps', trainSteps);
  let product = 1;
  return betas(schedule, trainSteps).map((beta) => (product *= 1 - beta));
}

function betas(schedule: BetaSchedule, n: number): number[] {
  switch (schedule.kind) {
    case 'linear':
      return linspace(schedule.betaStart, schedule.betaEnd, n);
    case 'scaledLinear':
      return linspace(Math.sqrt(schedule.betaStart), Math.sqrt(schedule.betaEnd), n).map((root) => root * root);
    case 'cosine': {
      const level = (t: number): number => Math.cos(((t + 0.008) / 1.008) * (Math.PI / 2)) ** 2;
      return Array.from({length: n}, (_, i) => Math.min(1 - level((i + 1) / n) / level(i / n), 0.999));
    }
  }
}

/**
 * Rescales ᾱ so that the last timestep is pure noise (ᾱ = 0) while the first keeps its level.
 *
 * @source Lin et al. 2023, "Common diffusion noise schedules and sample steps are flawed", algorithm 1.
 */
export function zeroTerminalSnr(alphas: readonly number[]): number[] {
  const first = Math.sqrt(alphas[0]);
  const last = Math.sqrt(alphas[alphas.length - 1]);
  return alphas.map((alpha) => (((Math.sqrt(alpha) - last) * first) / (first - last)) ** 2);
}

/** Options of {@link timesteps}. */
export interface TimestepOptions {
  /** Number of training timesteps N. Default 1000. */
  readonly trainSteps?: number;
  /** Added to each timestep of `leading` spacing; 1 for Stable Diffusion. Default 0. */
  readonly offset?: number;
}

/**
 * Training timesteps at which a diffusion model is called, in acting order (falling).
 *
 * @param spacing `leading`: multiples of ⌊N/steps⌋ from 0; `linspace`: both ends included; `trailing`: from N − 1 down.
 * @source Lin et al. 2023, table 2.
 * @throws ConfigError unless 1 ≤ steps ≤ N.
 */
export function timesteps(
  spacing: 'leading' | 'linspace' | 'trailing',
  steps: number,
  {trainSteps = 1000, offset = 0}: TimestepOptions = {},
): number[] {
  requirePositiveInteger('timesteps', 'steps', steps);
  if (steps > trainSteps) {
    throw new ConfigError(`timesteps: steps must be at most the ${trainSteps} steps of training; got ${steps}.`);
  }
  switch (spacing) {
    case 'leading': {
      const stride = Math.floor(trainSteps / steps);
      return Array.from({length: steps}, (_, i) => (steps - 1 - i) * stride + offset);
    }
    case 'linspace':
      return linspace(trainSteps - 1, 0, steps).map(roundHalfEven);
    case 'trailing':
      return Array.from({length: steps}, (_, i) => roundHalfEven(trainSteps - (i * trainSteps) / steps) - 1);
  }
}
