/** `rlft reward`: the list, and cards as people and scripts read them. */
import {expect} from 'chai';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {rewards} from '../../src/builtins.js';
import {cardLines} from '../../src/cli/cardLines.js';
import type {RewardCard} from '../../src/rewards/card.js';
import {temporaryFolder} from '../support/files.js';
import {rewardServer} from '../support/rewardServer.js';
import {runCommand} from '../support/runCommand.js';

const place = ['--preset', 'nano', '--threads', '1'];

describe('rlft reward', function () {
  this.timeout(60_000);
  const folder = temporaryFolder();

  it('lists every reward that has a name, with its summary', async () => {
    const {code, stdout, stderr} = await runCommand(['reward', 'list']);
    expect({code, stderr}).to.deep.equal({code: 0, stderr: ''});
    const lines = stdout.trimEnd().split('\n');
    expect(lines.map((line) => line.split(' ')[0])).to.deep.equal([...rewards.names]);
    for (const [i, name] of rewards.names.entries()) expect(lines[i]).to.include(rewards.get(name).summary);
    const json = JSON.parse((await runCommand(['reward', 'list', '--json'])).stdout) as {name: string}[];
    expect(json.map(({name}) => name)).to.deep.equal([...rewards.names]);
  });

  it('prints the card of a reward by name', async () => {
    const {code, stdout, stderr} = await runCommand(['reward', 'check', 'brightness', ...place]);
    expect({code, stderr}).to.deep.equal({code: 0, stderr: ''});
    expect(stdout).to.match(
      /^mean of all pixels[^\n]+\nbrightness\n {2}patterns {2}[\d.]+ to [\d.]+ on fixed patterns\n {2}clips {5}mean [\d.]+ with their captions \([^)]+\), [\d.]+ with others'; 0 of 32 prefer their own among 4\n {2}speed {5}[^\n]+ clips\/s\n {2}gradient {2}differentiable\n$/,
    );
  });

  it('checks an expression with a file and a server in it', async () => {
    const file = join(folder(), 'mine.mjs');
    const score = 'async (videos, prompts) => Float32Array.from(prompts, (_, i) => i)';
    writeFileSync(
      file,
      `export const mine = {name: 'mine', unit: '1', summary: 'rising', open: async () => ({name: 'mine', unit: '1', score: ${score}})};`,
    );
    const server = await rewardServer();
    try {
      const sources = ['--set', `rewards.mine=${file}#mine`, '--set', `rewards.far=${server.url}`];
      const {code, stdout, stderr} = await runCommand([
        'reward',
        'check',
        'brightness + mine - far',
        ...sources,
        ...place,
        '--json',
      ]);
      expect({code, stderr}).to.deep.equal({code: 0, stderr: ''});
      const card = JSON.parse(stdout) as RewardCard;
      expect(card).to.include({name: 'brightness + mine - far', differentiable: false, repeatable: true});
      expect(card.parts.map(({name, differentiable}) => [name, differentiable])).to.deep.equal([
        ['brightness', true],
        ['mine', false],
        ['far', false],
      ]);
      expect(card.parts[1].patterns).to.deep.equal({low: 0, mean: 3.5, high: 7});
    } finally {
      await server.close();
    }
  });

  it('a server that is not there is an error of one line', async () => {
    const server = await rewardServer((_, response) => void response.writeHead(404).end('who?'));
    const {code, stdout, stderr} = await runCommand(['reward', 'check', server.url, ...place]);
    await server.close();
    expect({code, stdout}).to.deep.equal({code: 1, stdout: ''});
    expect(stderr).to.match(/^rlft: reward http[^\n]+ wanted status 200; got 404: who\?\.\n$/);
  });
});

describe('cardLines', () => {
  const card: RewardCard = {
    name: 'a + b',
    unit: '1',
    differentiable: true,
    relative: true,
    patterns: {low: -1.23456, mean: 0, high: 2},
    repeatable: false,
    clipsPerSecond: 1234.5,
    parts: [],
  };

  it('give a reward one line and each part one below it', () => {
    const verification = {tensors: 12, unused: ['x'], clips: 5, largestGap: 2e-6, tolerance: 1e-3};
    const part: RewardCard = {
      ...card,
      name: 'b',
      relative: false,
      repeatable: true,
      patterns: {low: 1, mean: 1, high: 1},
      verification,
    };
    expect(cardLines({...card, parts: [part]})).to.deep.equal([
      'reward a + b: -1.23 to 2 on fixed patterns; 1230 clips/s; differentiable; compares the samples of a prompt; says nothing about one video; repeated: NO: the same clips got other scores the second time',
      '  reward b: always 1 on fixed patterns; 1230 clips/s; differentiable; all 12 tensors found, 1 not used; scores of 5 fixed clips met to 2.0e-6 (allowed: 0.001)',
    ]);
  });

  it('say what is not finite', () => {
    expect(cardLines({...card, patterns: {problem: 'reward "a" is NaN for prompt "x".'}})[0]).to.include(
      'not finite on fixed patterns: reward "a" is NaN for prompt "x".',
    );
  });
});
