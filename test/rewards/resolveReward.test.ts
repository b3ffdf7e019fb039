/** What `--reward` means. */
import {expect} from 'chai';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {ConfigError, UnknownNameError} from '../../src/errors.js';
import {registry} from '../../src/registry.js';
import type {RewardModule} from '../../src/reward.js';
import {resolveReward, type RewardSources} from '../../src/rewards/resolveReward.js';
import {float32} from '../../src/tensor/ndarray.js';
import {rejection, temporaryFolder} from '../support/files.js';
import {rewardServer} from '../support/rewardServer.js';

const constant = (name: string, value: number): RewardModule => ({
  name,
  unit: '1',
  summary: `always ${value}`,
  open: async () => ({name, unit: '1', score: async (_, prompts) => new Float32Array(prompts.length).fill(value)}),
});
const known = registry('reward', [constant('three', 3), constant('five', 5)]);
const prompts = [{id: 'p', text: 'a prompt'}];
const videos = float32([0, 0, 0], [1, 1, 1, 1, 3]);

describe('resolveReward', () => {
  const folder = temporaryFolder();
  const seven = (): string => {
    const path = join(folder(), 'seven.mjs');
    const score = 'async (videos, prompts) => new Float32Array(prompts.length).fill(7)';
    writeFileSync(
      path,
      `export const seven = {name: 'seven', unit: 'px', summary: 'always 7', open: async () => ({name: 'seven', unit: 'px', score: ${score}, close: async () => void (globalThis.sevenClosed = true)})};`,
    );
    return `${path}#seven`;
  };
  const scoreOf = async (source: string, own?: RewardSources): Promise<number> => {
    const reward = await (await resolveReward(source, known, own)).open(undefined as never);
    const [score] = await reward.score(videos, prompts);
    await reward.close?.();
    return score;
  };
  const refusal = async (source: string, own?: RewardSources): Promise<Error> => {
    const error = await rejection(resolveReward(source, known, own));
    expect(error).to.be.instanceOf(ConfigError);
    return error;
  };

  it('a name is the reward itself', async () => expect(await resolveReward('three', known)).to.equal(known.get('three')));

  it('an expression is composed', async () => {
    expect(await scoreOf('2*three + five')).to.equal(11);
    expect((await resolveReward('2*three + five', known)).name).to.equal('2*three + five');
  });

  it('a file is loaded', async () => expect(await scoreOf(seven())).to.equal(7));

  it('a server is asked, when it is opened and not before', async () => {
    const server = await rewardServer();
    const module = await resolveReward(server.url, known);
    expect(server.requests).to.have.length(0);
    const reward = await module.open(undefined as never);
    expect((await reward.score(videos, prompts))[0]).to.be.closeTo(0.5, 0.01);
    await reward.close!();
    await server.close();
  });

  it('names of ones own stand for files and servers, in expressions and alone', async () => {
    const server = await rewardServer();
    try {
      expect(await scoreOf('mine*three + 2*far', {mine: seven(), far: server.url})).to.be.closeTo(22, 0.02);
      const module = await resolveReward('mine', known, {mine: seven()});
      expect(module).to.include({name: 'mine', unit: 'px', summary: 'always 7'});
      expect(await module.open(undefined as never)).to.include({name: 'mine', unit: 'px'});
    } finally {
      await server.close();
    }
  });

  it('parts are called by those names, and closed', async () => {
    const reward = await (await resolveReward('mine + three', known, {mine: seven()})).open(undefined as never);
    expect(Object.keys((await reward.scoreParts!(videos, prompts)).parts)).to.deep.equal(['mine', 'three']);
    const closed = globalThis as {sevenClosed?: boolean};
    closed.sevenClosed = false;
    await reward.close!();
    expect(closed.sevenClosed).to.equal(true);
  });

  it('one word that is unknown is a name, with the nearest one; in an expression it has a column', async () => {
    const error = await refusal('thre');
    expect(error).to.be.instanceOf(UnknownNameError);
    expect(error.message).to.equal('unknown reward "thre"; did you mean "three"?');
    expect((await refusal('five + mien', {mine: seven()})).message).to.equal(
      'reward, column 8: unknown reward "mien"; did you mean "mine"?',
    );
  });

  it('a name of ones own that nothing uses is an error', async () => {
    for (const source of ['three', 'three + five', seven()])
      expect((await refusal(source, {mine: seven()})).message).to.match(/^rewards\.mine: has no effect in this run: /);
  });

  it('a name of ones own must be free, a word, and stand for a file or server', async () => {
    expect((await refusal('three', {three: './a.ts#a'})).message).to.include('rewards.three: the name is taken');
    for (const name of ['mean', 'max', 'a-b', '2x', 'groupNormalise'])
      expect((await refusal('three', {[name]: './a.ts#a'})).message).to.include(`rewards.${name}: wanted a name of letters`);
    expect((await refusal('mine', {mine: 'three'})).message).to.include(
      'rewards.mine: wanted a file or a server, such as ./mine.ts#mine; got "three"',
    );
  });

  it('words that every object has are no rewards', async () => {
    for (const word of ['constructor', '__proto__', 'toString', 'hasOwnProperty'])
      expect(await refusal(word)).to.be.instanceOf(UnknownNameError);
  });
});
