/** Expressions over rewards: what they mean, and that nothing else gets in. */
import {expect} from 'chai';
import fc from 'fast-check';
import {ConfigError, UnknownNameError} from '../src/errors.js';
import {isRewardName, parseExpression, type Term} from '../src/expression.js';
import {functions, operators} from '../src/rewards/operations.js';

const known = ['quality', 'semantic', 'judge', 'a', 'b', 'c'];
const parse = (text: string) => parseExpression(text, known);

/** A term in prefix form: `(add a (multiply 2 b))`. */
const prefix = (term: Term): string => {
  if (term.kind === 'number') return String(term.value);
  return term.kind === 'reward' ? term.name : `(${[term.operation, ...term.terms.map(prefix)].join(' ')})`;
};
const form = (text: string): string => prefix(parse(text).term);

/** What a text is refused with; fails if it is not, or by more than one line. */
function refusal(text: string): string {
  try {
    parse(text);
  } catch (error) {
    expect(error, text).to.be.instanceOf(ConfigError);
    expect((error as ConfigError).exitCode).to.equal(2);
    expect((error as ConfigError).message).to.match(/^reward[:,][^\n\r\p{Cc}]+$/u);
    return (error as ConfigError).message;
  }
  return expect.fail(`${text} was not refused`);
}

describe('parseExpression', () => {
  it('reads sums and products in the order of arithmetic', () => {
    expect(form('0.7*quality + 0.3*judge')).to.equal('(add (multiply 0.7 quality) (multiply 0.3 judge))');
    expect(form('a - b - c')).to.equal('(subtract (subtract a b) c)');
    expect(form('a / b / c')).to.equal('(divide (divide a b) c)');
    expect(form('a + b * c')).to.equal('(add a (multiply b c))');
    expect(form('(a + b) * c')).to.equal('(multiply (add a b) c)');
    expect(form('-a*b')).to.equal('(multiply (unaryMinus a) b)');
    expect(form('a - -b')).to.equal('(subtract a (unaryMinus b))');
    expect(form('a*-b')).to.equal('(multiply a (unaryMinus b))');
  });

  it('reads functions, nested ones too, and line breaks as spaces', () => {
    expect(form('max(a, b, 2*c)')).to.equal('(max a b (multiply 2 c))');
    expect(form('clip(judge, -1, 1)')).to.equal('(clip judge -1 1)');
    expect(form('exp(log(sqrt(tanh(sigmoid(a)))))')).to.equal('(exp (log (sqrt (tanh (sigmoid a)))))');
    expect(form('groupNormalise(a)\n  + min(b, .5)')).to.equal('(add (groupNormalise a) (min b 0.5))');
    expect(form(' judge ')).to.equal('judge');
  });

  it('reckons numbers without rewards at once', () => {
    expect(form('(1 + 2*3)/7 * a')).to.equal('(multiply 1 a)');
    expect(form('clip(a, 2 - 3, exp(0))')).to.equal('(clip a -1 1)');
    expect(form('1e-3*a + 5.0*b + .5e1*c')).to.equal('(add (add (multiply 0.001 a) (multiply 5 b)) (multiply 5 c))');
    expect(form('0.0*a + 0e5*b')).to.equal('(add (multiply 0 a) (multiply 0 b))');
  });

  it('lists every reward once, in the order of the text, and says whether groups matter', () => {
    expect(parse('c + a*c - min(b, a)'))
      .to.include({text: 'c + a*c - min(b, a)', relative: false})
      .and.deep.include({
        names: ['c', 'a', 'b'],
      });
    expect(parse('a + groupNormalise(b)').relative).to.equal(true);
  });

  it('means by every operation what its two forms compute', () => {
    const named = [...operators.keys(), ...functions.keys()];
    expect(named).to.have.members('add subtract multiply divide unaryMinus min max clip exp log sqrt tanh sigmoid'.split(' '));
  });

  it('agrees with JavaScript on arithmetic of any form', () => {
    const leaf = fc.constantFrom('a', 'b', 'c', '2', '0.5', '3');
    const {expression} = fc.letrec<{expression: string}>((tie) => ({
      expression: fc.oneof(
        {maxDepth: 4},
        leaf,
        fc
          .tuple(tie('expression'), fc.constantFrom('+', '-', '*', '/'), tie('expression'))
          .map(([x, o, y]) => (o === '/' ? `${x} / (4 + ${y}*${y})` : `${x} ${o} ${y}`)),
        tie('expression').map((x) => `(${x})`),
        tie('expression').map((x) => `(-${x})`),
      ),
    }));
    const scores = {a: 0.7, b: -1.3, c: 2.1};
    const valueOf = (term: Term): number => {
      if (term.kind === 'number') return term.value;
      if (term.kind === 'reward') return scores[term.name as 'a'];
      return operators.get(term.operation)!.number(...term.terms.map(valueOf));
    };
    fc.assert(
      fc.property(expression, (text) => {
        fc.pre(/[abc]/.test(text) && text.length <= 500);
        // The oracle: the same text as a program; only this test may do that, with texts it has made itself.
        // eslint-disable-next-line @typescript-eslint/no-implied-eval, @typescript-eslint/no-unsafe-call
        const wanted = new Function('a', 'b', 'c', `return ${text}`)(scores.a, scores.b, scores.c) as number;
        expect(valueOf(parse(text).term)).to.be.closeTo(wanted, 1e-9 * Math.max(1, Math.abs(wanted)));
      }),
      {seed: 1, numRuns: 100},
    );
  });

  it('names the column of a word that it does not know, and the word that was meant', () => {
    expect(() => parse('a + qualty')).to.throw(
      UnknownNameError,
      'reward, column 5: unknown reward "qualty"; did you mean "quality"?',
    );
    expect(() => parse('2*clamp(a, 0, 1)')).to.throw(
      UnknownNameError,
      'reward, column 3: unknown function "clamp"; known: min, max, clip',
    );
    expect(() => parse('sigmod(a)')).to.throw(UnknownNameError, 'did you mean "sigmoid"?');
    expect(refusal('a + min')).to.include('column 5: unknown reward "min"');
  });

  const wrong: readonly [text: string, says: string][] = [
    ['', 'wanted an expression with a reward in it, such as quality; got ""'],
    ['1 + 2', 'wanted an expression with a reward in it'],
    ['a +', 'column 4: Unexpected end of expression'],
    ['(a', 'column 3: Parenthesis ) expected'],
    ['a)', 'column 2: '],
    ['a, b', 'column 2: Unexpected operator ,'],
    ['2 a', 'column 3: wanted + - * or / before "a"; got "2"'],
    ['a b', 'column 3: wanted + - * or / before "b"'],
    ['2(a)', 'column 2: wanted + - * or / before "("'],
    ['(a)(b)', 'column 4: wanted + - * or / before "("'],
    ['a (b)', 'column 1: unknown function "a"'],
    ['+a', 'column 1: wanted a reward, a number or a parenthesis; got "+"'],
    ['a ++ b', 'column 4: wanted a reward'],
    ['a ** b', 'column 4: '],
    ['min(a)', 'column 1: min: wanted 2 to 8 arguments; got 1'],
    ['a + exp(b, c)', 'column 5: exp: wanted 1 argument; got 2'],
    ['exp()', 'wanted an expression with a reward in it'],
    ['a*exp()', 'column 3: exp: wanted 1 argument; got 0'],
    ['a + min(b, exp(a, c))', 'column 12: exp: wanted 1 argument; got 2'],
    ['clip(a, 1, 0)', 'column 1: clip: wanted clip(x, low, high) with numbers low < high'],
    ['clip(a, b, 1)', 'column 1: clip: wanted clip(x, low, high) with numbers'],
    ['a/0', 'wanted a divisor other than 0'],
    ['a/(1 - 1)', 'wanted a divisor other than 0'],
    ['a*log(0)', 'log(0) is -Infinity'],
    ['a*log(-1)', 'log(-1) is NaN'],
    ['a + groupNormalise(2)', 'column 5: groupNormalise: wanted a reward inside; got 2'],
  ];
  for (const [text, says] of wrong) it(`refuses "${text}"`, () => expect(refusal(text)).to.include(says));
});

describe('parseExpression lets nothing escape:', () => {
  const attacks: readonly [what: string, text: string, column?: number][] = [
    ['constructor', 'constructor', 1],
    ['constructor called', 'a.constructor("return process")()', 2],
    ['a property of a number', '(1).constructor', 4],
    ['prototype', 'a + prototype', 5],
    ['__proto__', '__proto__ + a', 1],
    ['hasOwnProperty', 'a*hasOwnProperty', 3],
    ['toString', 'toString(a)', 1],
    ['import', 'import({a: 1})', 8],
    ['import of nothing', 'import()', 1],
    ['evaluate', 'evaluate("1")', 10],
    ['evaluate of a name', 'evaluate(a)', 1],
    ['parse', 'parse(a)', 1],
    ['compile', 'compile(a)', 1],
    ['createUnit', 'createUnit(a)', 1],
    ['simplify', 'simplify(a)', 1],
    ['derivative', 'derivative(a, a)', 1],
    ['chain', 'chain(a)', 1],
    ['typed', 'typed(a)', 1],
    ['help', 'help(a)', 1],
    ['process', 'process', 1],
    ['require', 'require(a)', 1],
    ['globalThis', 'globalThis + a', 1],
    ['an assignment', 'a = 3', 3],
    ['an assignment to a function', 'exp = a', 5],
    ['a function definition', 'f(x) = a', 6],
    ['an arrow', 'a => b', 3],
    ['an object', '{b: a}', 1],
    ['an array', '[a, b]', 1],
    ['an index', 'a[1]', 2],
    ['an accessor', 'a.b', 2],
    ['a string', '"a"', 1],
    ['a string of one quote', "'a'", 1],
    ['a template', '`${a}`', 1],
    ['a unit', '3 cm + a', 3],
    ['a conversion', 'a to b', 3],
    ['mod', 'a mod b', 3],
    ['a remainder', 'a % b', 3],
    ['a power', 'a ^ 9', 3],
    ['a factorial', 'a!', 2],
    ['a transpose', "a'", 2],
    ['a comparison', 'a < b', 3],
    ['a condition', 'a ? b : c', 3],
    ['and', 'a and b', 3],
    ['not', 'not a', 1],
    ['a bit operation', 'a | b', 3],
    ['true', 'a + true', 5],
    ['null', 'a + null', 5],
    ['NaN', 'NaN*a', 1],
    ['Infinity', 'a/Infinity', 3],
    ['i', 'a + i', 5],
    ['pi', 'pi*a', 1],
    ['end', 'a + end', 5],
    ['a second statement', 'a; b', 2],
    ['a comment', 'a # b', 3],
    ['an escape', 'a\\u0041', 2],
    ['a huge exponent', '1e999*a', 1],
    ['a huge exponent of many digits', `a*1e${'9'.repeat(100)}`, 3],
    ['a tiny number', 'a*1e-400', 3],
    ['a large number', '1234567890123*a', 1],
    ['a negative exponent', 'a/1e-30', 3],
    ['a hexadecimal number', '0xff*a', 2],
    ['a binary number', '0b11*a', 2],
    ['a bigint', '10n*a', 3],
    ['an exponent without digits', '1e*a', 2],
    ['two points', '1.2.3*a', 4],
    ['a point at the end', '5.*a', 2],
    ['a Cyrillic a', '\u0430 + a', 1],
    ['a full-width a', '\uff41', 1],
    ['a mathematical a', '2*\ud835\udc4e', 3],
    ['an Arabic digit', '\u0663*a', 1],
    ['a minus sign of typography', 'a \u2212 b', 3],
    ['a full-width parenthesis', 'exp\uff08a\uff09', 4],
    ['a space that is none', 'a\u00a0+ b', 2],
    ['a zero-width space', 'a\u200b', 2],
    ['a direction mark', '\u202ea', 1],
    ['a byte order mark', '\ufeffa', 1],
    ['half a surrogate', 'a\ud800', 2],
    ['a null character', 'a\u0000', 2],
    ['an escape sequence of terminals', 'a\u001b[31m', 2],
    ['an accent', 'e\u0301', 2],
  ];
  for (const [what, text, column] of attacks) {
    it(`${what} is an error at its place`, () => expect(refusal(text)).to.match(new RegExp(`^reward, column ${column}: `)));
  }

  it('deep nesting, in any form, is an error before the parser sees it', () => {
    expect(refusal(`${'('.repeat(200)}a${')'.repeat(200)}`)).to.include('column 33: wanted at most 32 levels');
    expect(refusal(`${'-'.repeat(400)}a`)).to.include('column 33: wanted at most 32 levels');
    expect(refusal(`${'exp('.repeat(90)}a${')'.repeat(90)}`)).to.include('wanted at most 32 levels');
    expect(form(`${'('.repeat(32)}a${')'.repeat(32)}`)).to.equal('a');
  });

  it('length is bounded', () => {
    const sum = `a${'+a'.repeat(249)}`;
    expect(prefix(parse(`${sum} `).term)).to.have.length.above(500);
    expect(refusal(`${sum}+a`)).to.include('at most 500 characters; got 501');
    expect(refusal('a'.repeat(10_000_000))).to.include('got 10000000');
  });

  it('a reward that is called like a word of the parser is not taken for that word', () => {
    for (const word of ['mod', 'to', 'in', 'and', 'or', 'xor', 'not', 'true', 'null', 'end', 'undefined', 'NaN', 'Infinity']) {
      try {
        expect(parseExpression(`2*${word}`, [word]).names).to.deep.equal([word]);
      } catch (error) {
        expect(error, word).to.be.instanceOf(ConfigError);
      }
    }
  });

  it('any text at all is an expression or an error of one line', () => {
    const words = fc.constantFrom(
      'a',
      'judge',
      '+',
      '-',
      '*',
      '/',
      '(',
      ')',
      ',',
      ' ',
      '1',
      '.5',
      'e9',
      'min(',
      'clip(',
      'groupNormalise(',
    );
    const text = fc.oneof(
      fc.array(fc.integer({min: 0, max: 0xffff}), {maxLength: 40}).map((codes) => String.fromCharCode(...codes)),
      fc.array(words, {maxLength: 30}).map((list) => list.join('')),
    );
    fc.assert(
      fc.property(text, (candidate) => {
        try {
          return parse(candidate).names.every((name) => known.includes(name));
        } catch (error) {
          return error instanceof ConfigError && /^reward[:,][^\n\r\p{Cc}]+$/u.test(error.message);
        }
      }),
      {seed: 2, numRuns: 300},
    );
  });
});

describe('isRewardName', () => {
  it('is a word that neither a function nor a metric has', () => {
    expect(['judge', 'mine2', 'X'].every(isRewardName)).to.equal(true);
    expect(
      ['min', 'groupNormalise', 'mean', 'std', 'max', 'groupStd', 'my-reward', '2x', '', '_a', '__proto__'].some(isRewardName),
    ).to.equal(false);
  });
});
