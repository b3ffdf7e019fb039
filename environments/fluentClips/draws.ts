/**
 * Random numbers by name. Each draw is a hash of (stream, index, name, counter), so there is no state: a clip can be made
 * again alone, and a new draw added to the world changes none of the others.
 */

/** One draw, uniform in [0, 1): the same name and counter give the same number. */
export type Draw = (name: string, counter?: number) => number;

/** FNV-1a. */
function hashText(text: string, start = 0x811c9dc5): number {
  let h = start;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/** The finaliser of MurmurHash3: every input bit reaches every output bit. */
function scramble(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

const combine = (key: number, word: number): number => scramble((key ^ scramble((word + 0x9e3779b9) | 0)) + 0x7f4a7c15);

/** Uniform in [0, 1), a pure function of a text: for decisions that must survive changes of the code around them. */
export const uniformOf = (text: string): number => scramble(hashText(text)) / 2 ** 32;

/**
 * The draws of item `index` of a stream.
 *
 * @param index a whole number in [0, 2^53).
 */
export function drawsFor(stream: string, index: number): Draw {
  const item = combine(combine(hashText(stream), index | 0), Math.floor(index / 2 ** 32));
  return (name, counter = 0) => combine(combine(item, hashText(name)), counter) / 2 ** 32;
}

/** Picks one of the values, all equally likely. */
export const pick = <T>(values: readonly T[], u: number): T => values[Math.floor(u * values.length)];

/**
 * Picks one of the values with a Zipf tail: the value of rank r (from 1) has probability proportional to r^-0.7.
 * The order of the values is their rank.
 */
export function pickZipf<T>(values: readonly T[], u: number): T {
  let rest = u * values.reduce((sum, _, i) => sum + zipfWeight(i), 0);
  for (let i = 0; i < values.length - 1; i++) {
    rest -= zipfWeight(i);
    if (rest < 0) return values[i];
  }
  return values[values.length - 1];
}

/** Unnormalised Zipf probability of the value at `i`, counted from 0. */
export const zipfWeight = (i: number): number => (i + 1) ** -0.7;

/** One standard normal number from two draws (Box and Muller). */
export const normal = (draw: Draw, name: string, counter: number): number =>
  Math.sqrt(-2 * Math.log(1 - draw(name, 2 * counter))) * Math.cos(2 * Math.PI * draw(name, 2 * counter + 1));
