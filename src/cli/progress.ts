/** Progress on stderr: one line that renews itself on a terminal, a plain line per iteration anywhere else. */
import type {Output} from './command.js';

/** How far a task is. */
export interface Progress {
  /** What is counted, such as `iteration 12`. */
  readonly label: string;
  /** Part of the budget that is used up, 0 to 1; the time left is reckoned from it. */
  readonly fraction: number;
  /** Numbers to show, by short names, in order. */
  readonly values: Readonly<Record<string, number>>;
}

/** Shows progress. */
export interface ProgressLine {
  /** The work that is counted begins now: the time left is reckoned from here, and not from what was prepared before. */
  begin(): void;
  update(progress: Progress): void;
  /** A line that stays, such as a warning; the live line goes on below it. */
  note(text: string): void;
  /** Leaves the last state standing. */
  end(): void;
}

const clearLine = '\r\u001b[2K';

/**
 * Starts a progress line.
 *
 * @param seconds a clock, in seconds.
 */
export function progressLine(out: Output, seconds: () => number): ProgressLine {
  let start = seconds();
  const live = out.isTTY === true && process.env['TERM'] !== 'dumb';
  let standing = '';
  const cut = (line: string): string => line.slice(0, Math.max((out.columns ?? 80) - 1, 20));
  return {
    begin() {
      start = seconds();
    },
    update(progress) {
      const line = progressText(progress, seconds() - start);
      standing = live ? cut(line) : '';
      out.write(live ? `${clearLine}${standing}` : `${line}\n`);
    },
    note: (text) => void out.write(live ? `${clearLine}${text}\n${standing}` : `${text}\n`),
    end() {
      if (standing !== '') out.write('\n');
      standing = '';
    },
  };
}

/** `iteration 12  reward 0.412  kl 3.1e-5  58 % of the budget  45s left`. */
export function progressText({label, fraction, values}: Progress, elapsedSeconds: number): string {
  const used = Math.min(Math.max(fraction, 0), 1);
  const numbers = Object.entries(values).map(([name, value]) => `${name} ${shortNumber(value)}`);
  const left = used > 0 && used < 1 ? [`${duration((elapsedSeconds * (1 - used)) / used)} left`] : [];
  return [label, ...numbers, `${Math.floor(used * 100)} %`, ...left].join('  ');
}

/** A number in few letters: three significant digits, an exponent where it is very small or large. */
export function shortNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e6 ? String(Number(value.toPrecision(3))) : value.toExponential(1);
}

/** Seconds as people say them: `8s`, `1m05s`, `2h03m`. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const two = (n: number): string => String(n).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`;
}
