/** Rewards from files: found by path and export, checked before they are used. */
import {expect} from 'chai';
import {writeFileSync} from 'node:fs';
import {join, relative} from 'node:path';
import {ConfigError, ContractError} from '../../src/errors.js';
import {isRewardFile, loadReward} from '../../src/rewards/loadReward.js';
import {float32} from '../../src/tensor/ndarray.js';
import {rejection, temporaryFolder} from '../support/files.js';

const redness = `{
  name: 'redness',
  unit: '1',
  summary: 'how red',
  open: async () => ({name: 'redness', unit: '1', score: async (videos) => videos.data.map((x) => 2 * x)}),
}`;

describe('loadReward', () => {
  const folder = temporaryFolder();
  let files = 0;
  /** Writes a file and gives its path; each has a name of its own, since modules are cached. */
  const file = (text: string, extension = 'mjs'): string => {
    const path = join(folder(), `reward${files++}.${extension}`);
    writeFileSync(path, text);
    return path;
  };
  const refusal = async (source: string): Promise<string> => {
    const error = await rejection(loadReward(source));
    expect(error).to.be.instanceOf(ConfigError);
    expect(error.message).to.match(/^reward [^\n]+$/);
    return error.message;
  };

  it('loads the export that is named', async () => {
    const path = file(`export const redness = ${redness};\nexport const blueness = {...redness, name: 'blueness'};`);
    const module = await loadReward(`${path}#blueness`);
    expect(module).to.include({name: 'blueness', unit: '1', summary: 'how red'});
    const reward = await module.open(undefined as never);
    expect([...(await reward.score(float32([1, 2]), []))]).to.deep.equal([2, 4]);
  });

  it('takes paths relative to the working directory', async () => {
    const path = relative(process.cwd(), file(`export const redness = ${redness};`));
    expect((await loadReward(`${path}#redness`)).name).to.equal('redness');
  });

  it('takes the only reward of a file where none is named, and asks which of several', async () => {
    expect((await loadReward(file(`export const other = 3;\nexport const redness = ${redness};`))).name).to.equal('redness');
    expect(await refusal(file(`export const a = ${redness};\nexport const b = a;`))).to.include('it exports the rewards a, b');
    expect(await refusal(file('export const a = 3;'))).to.include('it exports none');
  });

  it('reads TypeScript', async () => {
    const path = file(
      `interface X { readonly a: number }\nconst x: X = {a: 1};\nexport const redness = ${redness.replace('(videos)', '(videos: any)')};\nexport const {a} = x;`,
      'ts',
    );
    expect((await loadReward(`${path}#redness`)).summary).to.equal('how red');
  });

  it('reads what a CommonJS file of its own kind exports', async () => {
    expect((await loadReward(`${file(`module.exports = {redness: ${redness}};`, 'js')}#redness`)).name).to.equal('redness');
  });

  it('says that there is no such file, without the folders of this machine', async () => {
    expect(await refusal('./none.mjs#a')).to.equal('reward ./none.mjs: there is no such file, seen from the working directory.');
    expect(await refusal('./none#a')).to.include('wanted a file that ends in .ts, .mts, .js, .mjs; got none');
  });

  it('says that there is no such export, and which one was meant', async () => {
    const path = file(`export const redness = ${redness};`);
    expect(await refusal(`${path}#rednes`)).to.include('exports nothing that is called "rednes"; did you mean "redness"?');
    expect(await refusal(`${path}#toString`)).to.include('exports nothing that is called "toString"');
    expect(await refusal(`${path}#__proto__`)).to.include('exports nothing that is called "__proto__"');
  });

  it('says what is wrong with an export that is no reward module', async () => {
    const path = file(`
      const good = ${redness};
      export const number = 3, nothing = null, list = [], bare = async () => new Float32Array(1);
      export const nameless = {...good, name: undefined}, silent = {...good, summary: ''}, closed = {...good, open: 1};`);
    for (const name of ['number', 'nothing', 'bare'])
      expect(await refusal(`${path}#${name}`)).to.include(
        `"${name}" is not a reward module: wanted an object with name, unit, summary and open`,
      );
    expect(await refusal(`${path}#list`)).to.include('name: wanted text; got undefined');
    expect(await refusal(`${path}#nameless`)).to.include('name: wanted text; got undefined');
    expect(await refusal(`${path}#silent`)).to.include('summary: wanted text');
    expect(await refusal(`${path}#closed`)).to.include('open: wanted a function; got number; it exports none');
  });

  it('says why a file cannot be loaded', async () => {
    expect(await refusal(file('export const a = {'))).to.match(/cannot be loaded: SyntaxError: /);
    expect(await refusal(file('throw new TypeError("at once");'))).to.include('cannot be loaded: TypeError: at once');
    expect(await refusal(file('import "nowhere-to-be-found";'))).to.match(/cannot be loaded: .*nowhere-to-be-found/);
  });

  it('answers for an open that throws, or gives no reward', async () => {
    const path = file(`
      const good = ${redness};
      export const thrower = {...good, open: () => { throw new Error('no weights\\nat all'); }};
      export const empty = {...good, open: async () => undefined};
      export const scoreless = {...good, open: async () => ({name: 'x'})};`);
    const opening = async (name: string): Promise<Error> =>
      rejection((await loadReward(`${path}#${name}`)).open(undefined as never));
    for (const [name, says] of [
      ['thrower', `reward "redness" of ${path}: open: wanted a reward; it threw Error: no weights`],
      ['empty', 'wanted a reward with a function score; got undefined'],
      ['scoreless', 'wanted a reward with a function score; got object'],
    ] as const) {
      const error = await opening(name);
      expect(error).to.be.instanceOf(ContractError);
      expect(error.message).to.include(says);
    }
  });
});

describe('isRewardFile', () => {
  it('tells paths from expressions and names', () => {
    for (const source of ['./mine.ts#a', '../a/b.js#c', '/abs/mine.mjs', 'mine.ts#x', 'rewards/mine.mts', './noending#x'])
      expect(isRewardFile(source), source).to.equal(true);
    for (const source of ['judge', 'a/b', '0.5*a + .7/b', 'quality/judge', 'http://host/x', 'clip(a, 0, 1)'])
      expect(isRewardFile(source), source).to.equal(false);
  });
});
