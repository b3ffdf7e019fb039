/** A reward's verification card in words: a line for each reward and part in a run, a table in `rlft reward check`. */
import type {RewardCard} from '../rewards/card.js';
import type {Spread} from '../rewards/spread.js';
import {shortNumber} from './progress.js';

const number = (x: number): string => shortNumber(Number(x.toPrecision(3)));
const range = ({low, high}: Spread): string => (low === high ? `always ${number(low)}` : `${number(low)} to ${number(high)}`);

/** The range on patterns, or what is wrong with it. */
const patterns = ({patterns: found}: RewardCard): string =>
  'problem' in found ? `not finite on fixed patterns: ${found.problem}` : `${range(found)} on fixed patterns`;

/** The rows of a card that say something. */
function facts(card: RewardCard): [name: string, fact: string][] {
  const {verification: verified, clips} = card;
  return [
    ['patterns', patterns(card)],
    ...(clips
      ? [
          [
            'clips',
            `mean ${number(clips.own.mean)} with their captions (${range(clips.own)}), ${number(clips.swapped.mean)} with others'; ${clips.preferred} of ${clips.clips} prefer their own among ${clips.captions}`,
          ],
        ]
      : []),
    ...(card.clipsPerSecond === undefined ? [] : [['speed', `${number(card.clipsPerSecond)} clips/s`]]),
    ['gradient', card.differentiable ? 'differentiable' : 'not differentiable: for policy gradients only'],
    ...(verified
      ? [
          [
            'weights',
            `all ${verified.tensors} tensors found${verified.unused.length > 0 ? `, ${verified.unused.length} not used` : ''}; scores of ${verified.clips} fixed clips met to ${number(verified.largestGap)} (allowed: ${number(verified.tolerance)})`,
          ],
        ]
      : []),
    ...(card.relative ? [['scale', 'compares the samples of a prompt; says nothing about one video']] : []),
    ...(card.repeatable ? [] : [['repeated', 'NO: the same clips got other scores the second time']]),
  ] as [string, string][];
}

/** `reward judge: 0.02 to 0.31 on fixed patterns; 310 clips/s; not differentiable …`, and such a line for each part. */
export function cardLines(card: RewardCard, indent = ''): string[] {
  const said = facts(card).map(([name, fact]) => (name === 'repeated' ? `repeated: ${fact}` : fact));
  return [`${indent}reward ${card.name}: ${said.join('; ')}`, ...card.parts.flatMap((part) => cardLines(part, `${indent}  `))];
}

/** The card as a table, a block for each reward and part. */
export function cardTable(card: RewardCard): string[] {
  const rows = facts(card).map(([name, fact]) => `  ${name.padEnd(9)} ${fact}`);
  return [`${card.name}${card.unit === '1' ? '' : ` [${card.unit}]`}`, ...rows, ...card.parts.flatMap(cardTable)];
}
