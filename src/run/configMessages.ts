/** The words for what is wrong with a value: what was wanted, what came, what was probably meant. */
import type {z} from 'zod';
import {nearest} from '../nearest.js';

const articles: Readonly<Record<string, string>> = {
  int: 'a whole number',
  string: 'text',
  boolean: 'true or false',
  array: 'a list',
  object: 'keys and values',
  record: 'keys and values',
};

/**
 * `wanted a number > 0; got "fast".` for an issue that is not about an unknown key.
 *
 * @param whole whether the key wants whole numbers, which an issue about a bound does not say.
 */
export function wanted(issue: z.core.$ZodIssue, value: unknown, whole: boolean): string {
  const unit = whole ? 'a whole number' : 'a number';
  const got = value === undefined ? 'nothing' : shown(value);
  switch (issue.code) {
    case 'invalid_type':
      return `wanted ${issue.expected === 'number' ? unit : (articles[issue.expected] ?? issue.expected)}; got ${got}.`;
    case 'too_small':
      return `wanted ${sized(issue.origin, unit, issue.inclusive === false ? '>' : '≥', issue.minimum)}; got ${got}.`;
    case 'too_big':
      return `wanted ${sized(issue.origin, unit, issue.inclusive === false ? '<' : '≤', issue.maximum)}; got ${got}.`;
    case 'invalid_value': {
      const choices = issue.values.map(String);
      const meant = typeof value === 'string' ? nearest(value, choices) : undefined;
      return `wanted ${choices.length === 1 ? '' : 'one of '}${choices.join(', ')}; got ${got}${meant === undefined ? '.' : `; did you mean "${meant}"?`}`;
    }
    default:
      return `${issue.message.replace(/\.$/, '')}; got ${got}.`;
  }
}

const sized = (origin: string, unit: string, sign: string, bound: number | bigint): string => {
  if (origin === 'string') return `text with length ${sign} ${bound}`;
  if (origin === 'array') return `a list with length ${sign} ${bound}`;
  return `${unit} ${sign} ${bound}`;
};

/** A value on one line, cut where it is long; numbers that JSON cannot say by their names. */
function shown(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
