/** When a look at held-out clips is an alarm, and the words for it. docs/reward-hacking.md gives the reason of each bound. */

/** Figures of clips that have a bound. */
export interface ClipFigures {
  readonly diversity: number;
  readonly motion: number;
  readonly saturation: number;
  readonly darkShare: number;
  readonly highFrequency: number;
}

/** How far reward and yardstick have moved, each with the end of its 95 % interval that an alarm asks for. */
export interface Gains {
  readonly reward: number;
  readonly rewardLow: number;
  readonly yardstick: number;
  readonly yardstickHigh: number;
}

/** An alarm. */
export interface Alarm {
  /** What left its bound: a figure, or `yardstick`. */
  readonly figure: string;
  /** One line: what was seen, against what, what it usually means, what to do. */
  readonly message: string;
}

const REMEDY =
  'Look at samples/; raise what holds the policy to its start (klCoefficient, anchorCoefficient), or lower learningRate';

interface Bound {
  readonly figure: keyof ClipFigures;
  readonly is: string;
  readonly means: string;
  readonly outside: (now: number, start: number) => boolean;
}

const bounds: readonly Bound[] = [
  {
    figure: 'diversity',
    is: 'distance between clips of one prompt',
    means: 'the policy draws the same clip whatever the noise (mode collapse)',
    outside: (now, start) => now < 0.7 * start,
  },
  {
    figure: 'motion',
    is: 'mean change of a pixel from frame to frame',
    means: 'clips freeze',
    outside: (now, start) => now < 0.6 * start,
  },
  {
    figure: 'saturation',
    is: 'mean saturation',
    means: 'colours are overdone or washed out',
    outside: (now, start) => now > 1.25 * start + 0.02 || now < 0.75 * start - 0.02,
  },
  {
    figure: 'darkShare',
    is: 'share of dark pixels',
    means: 'backgrounds go black',
    outside: (now, start) => now > start + 0.2,
  },
  {
    figure: 'highFrequency',
    is: 'share of variance inside 2×2 pixels',
    means: 'grids, noise or oversharpened edges',
    outside: (now, start) => now > 1.25 * start + 0.02,
  },
];

const short = (x: number): string => x.toFixed(3);

/**
 * The alarms of one look.
 *
 * @param start the same figures of the policy that training began with, from the same noise.
 * @param gains of this look and of the one before it, where there is a yardstick.
 */
export function alarmsOf(now: ClipFigures, start: ClipFigures, gains: readonly Gains[]): Alarm[] {
  const found = bounds
    .filter(({figure, outside}) => outside(now[figure], start[figure]))
    .map(({figure, is, means}): Alarm => ({
      figure,
      message: `${figure}: the ${is} is ${short(now[figure])}, against ${short(start[figure])} at the start: usually ${means}. ${REMEDY}.`,
    }));
  const last = gains.slice(-2);
  if (last.length < 2 || last.some(({rewardLow, yardstickHigh}) => !(rewardLow > 0 && yardstickHigh < 0))) return found;
  const {reward, yardstick} = last[1];
  const message = `yardstick: the reward has risen by ${short(reward)} and the yardstick, which is not optimised, fallen by ${short(-yardstick)} since the start, beyond their intervals, twice in a row: the reward is being hacked. Take the best checkpoint; ${REMEDY.replace('Look', 'look')}.`;
  return [{figure: 'yardstick', message}, ...found];
}
