/**
 * The three entropic transport problems, and the one scaling iteration that solves them all.
 *
 * Every plan has the form P = diag(u)·K·diag(v)·s with the kernel K = exp(−C/ε). A round is
 *
 *   ln u ← min(ceiling, τ·(ln a − ln s − ln K·v)),   ln v ← min(ceiling, τ·(ln b − ln s − ln Kᵀ·u)),   s ← m/(uᵀ·K·v)
 *
 * | problem | τ | ceiling | s |
 * | --- | --- | --- | --- |
 * | balanced: P1 = a, Pᵀ1 = b | 1 | none | 1 |
 * | unbalanced: + ρ·KL(P1 \| a) + ρ·KL(Pᵀ1 \| b) | ρ/(ρ + ε) | none | 1 |
 * | partial: P1 ≤ a, Pᵀ1 ≤ b, total m | 1 | 0 | so that the total is m |
 *
 * Each line is exact maximisation of the dual in one block of variables, so all three converge.
 *
 * @source Cuturi 2013, arXiv:1306.0895 (balanced); Chizat et al. 2018, arXiv:1607.05816, table 1 (unbalanced); Benamou et al.
 * 2015, arXiv:1412.5154, §5 (partial: their Dykstra steps are these updates).
 */
import {ConfigError} from '../errors.js';

/** Which problem is solved. */
export type TransportProblem =
  | {readonly problem: 'balanced'}
  /** `penalty` ρ > 0, in units of cost, of both marginals' divergence; infinite: balanced. */
  | {readonly problem: 'unbalanced'; readonly penalty: number}
  /** Exactly `mass` m is moved, 0 < m ≤ the smaller of the two totals. */
  | {readonly problem: 'partial'; readonly mass: number};

/**
 * What the entropy of a plan is relative to: nothing (`plain`: ε·Σ P·(ln P − 1); POT's `reg_type="entropy"`, OTT, PISCES) or the
 * product of the marginals (`relative`: ε·KL(P | a⊗b); POT's default, `kl`). The balanced plan is the same under both, and the
 * partial one is if the marginals are uniform; an unbalanced one is not.
 */
export type Entropy = 'plain' | 'relative';

/** Entropic regularisation. */
export interface EntropicOptions {
  readonly transport: TransportProblem;
  /** ε > 0, in units of cost. */
  readonly epsilon: number;
  /** Default `plain`. */
  readonly entropy?: Entropy;
}

/** Coefficients of a round. */
export interface Scaling {
  /** τ in (0, 1]. */
  readonly exponent: number;
  /** Largest ln u and ln v. */
  readonly ceiling: number;
  /** m, if the total is prescribed. */
  readonly mass: number | undefined;
}

/**
 * The coefficients of a problem's rounds.
 *
 * @throws ConfigError if ε, the penalty or the mass is not positive.
 */
export function scalingOf({transport, epsilon}: EntropicOptions): Scaling {
  const positive = (name: string, x: number): number => {
    if (x > 0) return x;
    throw new ConfigError(`transport: ${name} must be positive; got ${x}.`);
  };
  if (!Number.isFinite(positive('epsilon', epsilon))) throw new ConfigError('transport: epsilon must be finite; got Infinity.');
  switch (transport.problem) {
    case 'balanced':
      return {exponent: 1, ceiling: Infinity, mass: undefined};
    case 'unbalanced': {
      const rho = positive('penalty', transport.penalty);
      return {exponent: rho === Infinity ? 1 : rho / (rho + epsilon), ceiling: Infinity, mass: undefined};
    }
    case 'partial':
      return {exponent: 1, ceiling: 0, mass: positive('mass', transport.mass)};
  }
}

/**
 * The penalty that PISCES derives from its "transported mass" m: ρ = ε·m/(1 − m), infinite from .999 on. It makes the exponent
 * ρ/(ρ + ε) equal to m whatever ε is, and is no mass: the plan's total depends on the cost and can exceed 1.
 *
 * @param mass in (0, 1].
 * @source PISCES, arXiv:2602.01624, §3.3; released `solve_partial_ot`.
 * @throws ConfigError if `mass` is outside (0, 1].
 */
export function penaltyOfMass(mass: number, epsilon: number): number {
  if (!(mass > 0 && mass <= 1)) throw new ConfigError(`penaltyOfMass: mass must be in (0, 1]; got ${mass}.`);
  return mass >= 0.999 ? Infinity : (epsilon * mass) / (1 - mass);
}
