/**
 * Arithmetic over rewards by name: `0.7*quality + clip(judge, 0, 1)`. The text may come from anywhere, so what it can hold is a
 * list of what is allowed: names of known rewards, numbers, `+ − * /`, parentheses, commas and the functions of
 * `rewards/operations.ts`. Everything else is refused, at its column, before the parser sees it; of what the parser makes only
 * the kinds of node listed here are taken over. Nothing is ever evaluated by it.
 */
import {createRequire} from 'node:module';
import type * as mathjs from 'mathjs';
import {ConfigError, UnknownNameError} from './errors.js';
import {suggestion} from './nearest.js';
import {functions, operators} from './rewards/operations.js';

/** The function that looks at all samples of a prompt at once; `rewards/groupNormalise.ts`. */
export const GROUP_NORMALISE = 'groupNormalise';

/** What an expression is made of. */
export type Term =
  | {readonly kind: 'number'; readonly value: number}
  | {readonly kind: 'reward'; readonly name: string}
  | {readonly kind: 'call'; readonly operation: string; readonly terms: readonly Term[]};

/** A checked expression. */
export interface Expression {
  readonly text: string;
  /** The rewards it names, each once, in the order of their first mention; at least one. */
  readonly names: readonly string[];
  /** Whether it compares samples of one prompt only, by `groupNormalise`: its values at different times cannot be compared. */
  readonly relative: boolean;
  readonly term: Term;
}

const MOST_CHARACTERS = 500;
const DEEPEST = 32;
/** Numbers other than 0 lie between these; what lies outside is a slip of the keyboard or of the unit. */
const [SMALLEST, LARGEST] = [1e-9, 1e9];
/** Names that functions or metrics of a run have already. */
const taken = new Set([...functions.keys(), GROUP_NORMALISE, 'mean', 'std', 'groupStd']);

/** Whether a reward may be called so in an expression. */
export const isRewardName = (name: string): boolean => /^[a-zA-Z][a-zA-Z0-9]*$/.test(name) && !taken.has(name);

interface Token {
  readonly kind: 'number' | 'name' | 'sign';
  readonly text: string;
  /** From 1. */
  readonly column: number;
}

const refuse = (column: number, what: string): ConfigError => new ConfigError(`reward, column ${column}: ${what}`);

/**
 * Checks and parses an expression.
 *
 * @param known names of the rewards that it may use.
 * @throws ConfigError naming the column of what is not allowed; UnknownNameError for a reward or function that does not exist.
 */
export function parseExpression(text: string, known: readonly string[]): Expression {
  if (text.length > MOST_CHARACTERS)
    throw new ConfigError(`reward: wanted an expression of at most ${MOST_CHARACTERS} characters; got ${text.length}.`);
  const tokens = tokensOf(text);
  checkTokens(tokens, known);
  const names = [...new Set(tokens.filter((_, i) => isReward(tokens, i)).map((token) => token.text))];
  if (names.length === 0)
    throw new ConfigError(`reward: wanted an expression with a reward in it, such as ${known[0]}; got "${printable(text)}".`);
  const term = termOf(parse(text), tokens.filter((token) => token.kind === 'name').values());
  return {text, names, relative: tokens.some((token) => token.text === GROUP_NORMALISE), term};
}

/** Cuts a text into numbers, names and signs. */
function tokensOf(text: string): Token[] {
  const pattern =
    /(?<space>[ \t\r\n]+)|(?<number>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?)|(?<name>[A-Za-z_$][\w$]*)|(?<sign>[-+*/(),])/y;
  const tokens: Token[] = [];
  while (pattern.lastIndex < text.length) {
    const column = pattern.lastIndex + 1;
    const {groups} = pattern.exec(text) ?? {};
    if (!groups) throw refuse(column, `wanted names, numbers, + - * / ( ) and commas; got ${characterAt(text, column - 1)}.`);
    for (const kind of ['number', 'name', 'sign'] as const) {
      if (groups[kind] !== undefined) tokens.push({kind, text: groups[kind], column});
    }
  }
  return tokens;
}

/** A character for a message: what cannot be told by its look, such as a Cyrillic а, by its number too. */
function characterAt(text: string, index: number): string {
  const character = String.fromCodePoint(text.codePointAt(index)!);
  if (/^[\x21-\x7e]$/.test(character)) return `"${character}"`;
  const code = `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;
  return /^[\p{L}\p{N}\p{P}\p{S}]$/u.test(character) ? `"${character}" (${code})` : code;
}

const printable = (text: string): string => text.replace(/\s+/g, ' ').slice(0, 60);

const isCall = (tokens: readonly Token[], i: number): boolean => tokens[i].kind === 'name' && tokens[i + 1]?.text === '(';
const isReward = (tokens: readonly Token[], i: number): boolean => tokens[i].kind === 'name' && !isCall(tokens, i);

/** Checks each word by itself and beside its neighbour; what remains to the parser is the balance of parentheses. */
function checkTokens(tokens: readonly Token[], known: readonly string[]): void {
  let depth = 0;
  let minus = 0;
  tokens.forEach((token, i) => {
    const {kind, text, column} = token;
    const before = tokens[i - 1];
    const afterValue = before !== undefined && (before.kind !== 'sign' || before.text === ')');
    if (kind === 'number') checkNumber(text, column);
    if (isCall(tokens, i) && !functions.has(text) && text !== GROUP_NORMALISE)
      throw new UnknownNameError(
        refuse(column, `unknown function "${text}"${suggestion(text, [...functions.keys(), GROUP_NORMALISE])}`).message,
      );
    if (isReward(tokens, i) && !known.includes(text))
      throw new UnknownNameError(refuse(column, `unknown reward "${text}"${suggestion(text, known)}`).message);
    const startsValue = kind !== 'sign' || (text === '(' && before?.kind !== 'name');
    if (afterValue && startsValue) throw refuse(column, `wanted + - * or / before "${text}"; got "${before.text}".`);
    if (!afterValue && text === '+') throw refuse(column, 'wanted a reward, a number or a parenthesis; got "+".');
    minus = text === '-' && !afterValue ? minus + 1 : 0;
    depth += text === '(' ? 1 : text === ')' ? -1 : 0;
    if (depth > DEEPEST || minus > DEEPEST)
      throw refuse(column, `wanted at most ${DEEPEST} levels, one inside the other; got more.`);
  });
}

function checkNumber(text: string, column: number): void {
  const size = Math.abs(Number(text));
  const zero = !/[1-9]/.test(text.replace(/[eE].*/, ''));
  if (zero || (size >= SMALLEST && size <= LARGEST)) return;
  throw refuse(column, `wanted numbers from ${SMALLEST} to ${LARGEST}, or 0; got ${text.slice(0, 20)}.`);
}

type MathJs = typeof mathjs;
let library: MathJs | undefined;

/** The parser in its one-file build, loaded at the first expression: file by file it takes ten times as long. */
function parse(text: string): mathjs.MathNode {
  library ??= createRequire(import.meta.url)('mathjs/lib/browser/math.js') as MathJs;
  try {
    // A line break would begin another statement.
    return library.parse(text.replace(/\s/g, ' '));
  } catch (cause) {
    const {char, message} = cause as {char?: number; message: string};
    throw new ConfigError(`reward, column ${char ?? 1}: ${message.replace(/ \(char \d+\)$/, '')}.`, {cause});
  }
}

/**
 * Takes a parsed node over, if it is of an allowed kind.
 *
 * @param names the name tokens that have not been met yet: nodes come in the order of the text, and only tokens know their place.
 */
function termOf(node: mathjs.MathNode, names: Iterator<Token>): Term {
  const {ConstantNode, FunctionNode, OperatorNode, ParenthesisNode, SymbolNode} = library!;
  if (is(node, ParenthesisNode)) return termOf(node.content, names);
  if (is(node, ConstantNode) && typeof node.value === 'number') return {kind: 'number', value: node.value};
  if (is(node, SymbolNode)) return {kind: 'reward', name: (names.next().value as Token).text};
  if (is(node, OperatorNode) && operators.has(node.fn)) {
    const operation: string = node.fn;
    return constant({kind: 'call', operation, terms: node.args.map((arg) => termOf(arg, names))});
  }
  if (is(node, FunctionNode) && is(node.fn as mathjs.MathNode, SymbolNode)) {
    const {text: operation, column} = names.next().value as Token;
    const terms = node.args.map((arg) => termOf(arg, names));
    checkCall(operation, terms, column);
    return constant({kind: 'call', operation, terms});
  }
  throw new ConfigError(
    `reward: wanted sums, products and functions of rewards; got ${node.type} "${printable(node.toString())}".`,
  );
}

const is = <N extends mathjs.MathNode>(node: mathjs.MathNode, type: abstract new (...args: never[]) => N): node is N =>
  node instanceof type;

function checkCall(operation: string, terms: readonly Term[], column: number): void {
  const [least, most] = functions.get(operation)?.arity ?? [1, 1];
  if (terms.length < least || terms.length > most) {
    const wanted = least === most ? String(least) : `${least} to ${most}`;
    throw refuse(column, `${operation}: wanted ${wanted} argument${most === 1 ? '' : 's'}; got ${terms.length}.`);
  }
  if (operation === GROUP_NORMALISE && terms[0].kind === 'number')
    throw refuse(column, `${operation}: wanted a reward inside; got ${terms[0].value}.`);
  if (operation !== 'clip') return;
  const [, low, high] = terms;
  if (low.kind !== 'number' || high.kind !== 'number' || low.value >= high.value)
    throw refuse(column, 'clip: wanted clip(x, low, high) with numbers low < high.');
}

/** A call of numbers alone as its value. */
function constant(term: Term & {readonly kind: 'call'}): Term {
  const {operation, terms} = term;
  const values = terms.flatMap((t) => (t.kind === 'number' ? [t.value] : []));
  if (operation === 'divide' && terms[1].kind === 'number' && terms[1].value === 0)
    throw new ConfigError('reward: wanted a divisor other than 0.');
  if (values.length < terms.length || operation === GROUP_NORMALISE) return term;
  const value = (operators.get(operation) ?? functions.get(operation))!.number(...values);
  if (!Number.isFinite(value))
    throw new ConfigError(`reward: wanted finite numbers; ${operation}(${values.join(', ')}) is ${value}.`);
  return {kind: 'number', value};
}
