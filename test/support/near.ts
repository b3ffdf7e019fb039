/** Compares arrays of numbers by one assertion that names the worst element. */
import {expect} from 'chai';

/** Widths of the band around the wanted number. */
export interface Band {
  readonly rtol: number;
  readonly atol: number;
}

/** Asserts equal lengths, at least one element unless both are empty by `mayBeEmpty`, equal non-finites, and |a − b| ≤ atol + rtol·|b|. */
export function expectNear(
  actual: ArrayLike<number>,
  wanted: ArrayLike<number>,
  {rtol, atol}: Band,
  what: string,
  mayBeEmpty = false,
): void {
  expect(actual.length, `${what}: length`).to.equal(wanted.length);
  if (!mayBeEmpty) expect(wanted.length, `${what}: length`).to.be.greaterThan(0);
  let worst = {excess: 0, message: ''};
  for (let i = 0; i < wanted.length; i++) {
    const [a, b] = [actual[i], wanted[i]];
    const band = atol + rtol * Math.abs(b);
    const excess = Object.is(a, b) || a === b ? 0 : Number.isFinite(a) && Number.isFinite(b) ? Math.abs(a - b) / band : Infinity;
    if (excess > worst.excess)
      worst = {
        excess,
        message: `${what}[${i}]: got ${a}, wanted ${b} ± ${band.toExponential(1)} (${excess.toFixed(2)} of the band)`,
      };
  }
  expect(worst.excess, worst.message).to.be.at.most(1);
}

/** The largest magnitude among finite numbers, at least `floor`. */
export const scaleOf = (numbers: ArrayLike<number>, floor = 1): number =>
  Array.from(numbers).reduce((m, x) => (Number.isFinite(x) ? Math.max(m, Math.abs(x)) : m), floor);

/** ‖a − b‖/‖b‖: the relative distance of two arrays as a whole. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [apart, size] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    apart += (a[i] - b[i]) ** 2;
    size += b[i] ** 2;
  }
  return Math.sqrt(apart / size);
}
