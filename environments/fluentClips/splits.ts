/**
 * Which compositions are held out: a fifth of the (noun, colour), (noun, motion) and (noun, noun) pairs, by a hash of their
 * names, so that the split survives changes of everything else. Pre-training never shows them and never names them.
 *
 * @source Mittal, Marwah and Balasubramanian, Sync-DRAW, ACM MM 2017: pairs of (digit, motion) kept for validation.
 */
import {uniformOf} from './draws.js';
import {seenColor} from './sprites.js';
import type {ClipSpec, Color, Motion, Noun} from './spec.js';

/**
 * Salts of the hashes, chosen so that every noun, colour and motion loses one or two of its six pairs, every noun one partner,
 * and no noun its natural colour.
 */
const salts = {color: 330, motion: 214, noun: 46};

const heldOutShare = 0.2;
const isHeldOut = (salt: number, a: string, b: string): boolean => uniformOf(`${salt}/${a}+${b}`) < heldOutShare;

/** Whether this colour of this noun is held out. A natural colour counts as the colour word it looks like. */
export const isColorHeldOut = (noun: Noun, color: Color | null): boolean => isHeldOut(salts.color, noun, seenColor(noun, color));

/** Whether this motion of this noun is held out. */
export const isMotionHeldOut = (noun: Noun, motion: Motion): boolean => isHeldOut(salts.motion, noun, motion);

/** Whether these two nouns in one clip are held out, in either order. */
export const isPairHeldOut = (a: Noun, b: Noun): boolean => (a < b ? isHeldOut(salts.noun, a, b) : isHeldOut(salts.noun, b, a));

/** Whether a clip shows any held-out composition. */
export function isClipHeldOut({objects}: ClipSpec): boolean {
  const [a, b] = objects;
  return (
    objects.some((o) => isColorHeldOut(o.noun, o.color) || isMotionHeldOut(o.noun, o.motion)) ||
    (a !== undefined && b !== undefined && isPairHeldOut(a.noun, b.noun))
  );
}
