/** Rewards behind HTTP: what is asked, and what becomes of every way in which a server can fail. */
import {expect} from 'chai';
import {createServer} from 'node:net';
import type {AddressInfo} from 'node:net';
import type {Prompt} from '../../src/environment.js';
import {ConfigError, ContractError, NonFiniteError, RlftError} from '../../src/errors.js';
import type {Reward} from '../../src/reward.js';
import {fixedClips} from '../../src/rewards/fixedClips.js';
import {encodedLength, scoreRequest} from '../../src/rewards/httpProtocol.js';
import {httpReward, type HttpRewardOptions} from '../../src/rewards/httpReward.js';
import {float32} from '../../src/tensor/ndarray.js';
import {rejection} from '../support/files.js';
import {good, info, means, reply, rewardServer, type Answer, type TestServer} from '../support/rewardServer.js';

const shape = [2, 4, 4, 3];
const clips = (n: number) => fixedClips(n, shape);
const prompts = (n: number): Prompt[] => Array.from({length: n}, (_, i) => ({id: `p${i}`, text: `prompt ${i}`, truth: 'secret'}));
const quick: HttpRewardOptions = {timeoutSeconds: 5, attempts: 3, backoffSeconds: 0.001};
const open = (url: string, options: HttpRewardOptions = {}): Promise<Reward> =>
  httpReward(url, {...quick, ...options}).open(undefined as never);

/** A POST that is answered by `fault`; GETs are answered well. */
const onPost =
  (fault: Answer): Answer =>
  (body, ...rest) =>
    (body === undefined ? good : fault)(body, ...rest);

describe('httpReward', function () {
  this.timeout(20_000);
  const servers: TestServer[] = [];
  const rewards: Reward[] = [];
  afterEach(async () => {
    await Promise.all(rewards.splice(0).map(async (reward) => reward.close?.()));
    await Promise.all(servers.splice(0).map((server) => server.close()));
  });
  const serve = async (answer?: Answer): Promise<TestServer> => {
    const server = await rewardServer(answer);
    servers.push(server);
    return server;
  };
  const openAt = async (answer?: Answer, options?: HttpRewardOptions): Promise<{reward: Reward; server: TestServer}> => {
    const server = await serve(answer);
    const reward = await open(server.url, options);
    rewards.push(reward);
    return {reward, server};
  };
  /** What scoring three videos fails with. */
  const failure = async (fault: Answer, options?: HttpRewardOptions): Promise<{error: Error; posts: number}> => {
    const {reward, server} = await openAt(onPost(fault), options);
    const error = await rejection(reward.score(clips(3), prompts(3)));
    expect(error.message).to.include(server.url);
    expect(error.message).to.match(/^[^\n\p{Cc}]+$/u);
    return {error, posts: server.requests.filter(Boolean).length};
  };

  it('asks for the scores of the bytes and captions, and of nothing else', async () => {
    const {reward, server} = await openAt();
    const scores = await reward.score(clips(3), prompts(3));
    const wanted = Array.from({length: 3}, (_, i) => clips(3).data.subarray(i * 96, (i + 1) * 96)).map(
      (video) => video.reduce((sum, x) => sum + (x + 1) / 2, 0) / 96,
    );
    scores.forEach((score, i) => expect(score).to.be.closeTo(wanted[i], 1 / 510));
    const [hello, request] = server.requests;
    expect(hello).to.equal(undefined);
    expect(request!.version).to.equal(1);
    expect(request!.prompts).to.deep.equal([0, 1, 2].map((i) => ({id: `p${i}`, text: `prompt ${i}`})));
    expect({...request!.videos, data: 0}).to.deep.equal({shape: [3, 2, 4, 4, 3], dtype: 'uint8', encoding: 'base64', data: 0});
    expect(reward).to.include({name: 'http', unit: '1'});
  });

  it('writes -1, 0 and 1 as 0, 128 and 255, clamps, and keeps float32 scores exactly', async () => {
    const {videos} = scoreRequest(float32([-1, 0, 1, -3, 9, 0.5], [1, 1, 1, 2, 3]), prompts(1));
    expect([...Buffer.from(videos.data, 'base64')]).to.deep.equal([0, 128, 255, 0, 255, 191]);
    expect(videos.data.length).to.equal(encodedLength([1, 1, 2, 3]));
    const values = [1 / 3, -12345.678, 1e-30].map(Math.fround);
    const {reward} = await openAt(onPost((_, response) => reply(response, {version: 1, scores: values})));
    expect([...(await reward.score(clips(3), prompts(3)))]).to.deep.equal(values);
  });

  it('asks in batches, several at once but not more, and keeps the order', async () => {
    let [now, most] = [0, 0];
    const slow: Answer = async (body, response, nth, request) => {
      most = Math.max(most, ++now);
      // The first ones take longest.
      await new Promise((resolve) => setTimeout(resolve, 30 - 5 * Math.min(5, nth)));
      now--;
      await good(body, response, nth, request);
    };
    const {reward, server} = await openAt(onPost(slow), {batchSize: 3, concurrency: 2});
    const [first, second] = await Promise.all([reward.score(clips(10), prompts(10)), reward.score(clips(4), prompts(4))]);
    expect(
      server.requests
        .slice(1)
        .map((r) => r!.prompts.length)
        .sort(),
    ).to.deep.equal([1, 1, 3, 3, 3, 3]);
    expect(most).to.equal(2);
    expect([...first]).to.deep.equal(means(scoreRequest(clips(10), prompts(10))).map(Math.fround));
    expect([...second]).to.deep.equal([...first.subarray(0, 4)]);
  });

  it('asks for as many videos at once as the server can take', async () => {
    const small: Answer = (body, response, ...rest) =>
      body === undefined ? reply(response, {...info, maxVideos: 2}) : good(body, response, ...rest);
    const {reward, server} = await openAt(small);
    await reward.score(clips(5), prompts(5));
    expect(server.requests.slice(1).map((r) => r!.prompts.length)).to.have.members([2, 2, 1]);
  });

  it('tries again after 500s and a lost connection, with growing waits that are the same in every run', async () => {
    const flaky: Answer = (body, response, nth, request) => {
      if (nth === 1) return reply(response, {error: 'starting'}, 503);
      if (nth === 2) return void request.socket.destroy();
      return good(body, response, nth, request);
    };
    const waits: number[][] = [];
    for (let run = 0; run < 2; run++) {
      const {reward, server} = await openAt(onPost(flaky), {attempts: 4, backoffSeconds: 0.1});
      expect(await reward.score(clips(2), prompts(2))).to.have.length(2);
      const [, a, b, c] = server.times;
      waits.push([b - a, c - b]);
    }
    for (const [first, second] of waits) {
      expect(first).to.be.within(50, 250);
      expect(second).to.be.within(100, 400);
    }
    expect(Math.abs(waits[0][0] - waits[1][0])).to.be.below(60);
  });

  it('waits at open for a server that is still starting', async () => {
    const {reward} = await openAt((body, response, nth, request) =>
      nth < 2 ? reply(response, {}, 503) : good(body, response, nth, request),
    );
    expect(await reward.score(clips(1), prompts(1))).to.have.length(1);
  });

  it('gives up on a server that refuses connections, and says so', async () => {
    const free = createServer();
    await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
    const {port} = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    const error = await rejection(open(`http://127.0.0.1:${port}/score`));
    expect(error).to.be.instanceOf(RlftError).and.not.instanceOf(ContractError);
    expect(error.message).to.equal(
      `reward http://127.0.0.1:${port}/score: wanted an answer; got "ECONNREFUSED" in 3 attempts. Is the server running and up to its load?`,
    );
  });

  it('gives up on a server that hangs, after the time-out of each attempt', async () => {
    const {error, posts} = await failure(() => undefined, {timeoutSeconds: 0.1, attempts: 2});
    expect(error.message).to.include('got none within 0.1 s in 2 attempts');
    expect(posts).to.equal(2);
  });

  it('gives up on one that begins an answer and never ends it', async () => {
    const {error} = await failure((_, response) => void response.writeHead(200).write('{"version":'), {
      timeoutSeconds: 0.1,
      attempts: 1,
    });
    expect(error.message).to.include('got none within 0.1 s in one attempt');
  });

  it('gives up after as many 500s as it has attempts, and tells what the server said', async () => {
    const {error, posts} = await failure((_, response) => reply(response, {error: 'out of \u001b[31mmemory\n'}, 500));
    expect(error.message).to.match(/got status 500: \{"error":"out of .*memory.*"\} in 3 attempts/);
    expect(posts).to.equal(3);
  });

  const refused: readonly [what: string, fault: Answer, says: RegExp, type: abstract new (...args: never[]) => Error][] = [
    ['status 404', (_, r) => reply(r, {error: 'no such path'}, 404), /wanted status 200; got 404: .*no such path/, ContractError],
    ['a redirect', (_, r) => void r.writeHead(302, {location: '/elsewhere'}).end(), /wanted status 200; got 302/, ContractError],
    ['a page', (_, r) => void r.end('<html>\u001b[31mhello</html>'), /wanted JSON .*; got <html> \[31mhello/, ContractError],
    ['nothing', (_, r) => void r.end(), /wanted JSON .*; got nothing/, ContractError],
    ['NaN as Python writes it', (_, r) => void r.end('{"version":1,"scores":[1,NaN,2]}'), /has no NaN/, ContractError],
    ['a wrong length', (_, r) => reply(r, {version: 1, scores: [1, 2]}), /wanted 3 scores, one a video; got 2/, ContractError],
    [
      'another version',
      (_, r) => reply(r, {version: 2, scores: [1, 2, 3]}),
      /wanted version 1 .*; the server speaks 2/,
      ContractError,
    ],
    ['no version', (_, r) => reply(r, {scores: [1, 2, 3]}), /the server speaks none/, ContractError],
    ['no scores', (_, r) => reply(r, {version: 1}), /wanted \{"version": 1, "scores"/, ContractError],
    [
      'scores that are no list',
      (_, r) => reply(r, {version: 1, scores: {0: 1}}),
      /wanted \{"version": 1, "scores"/,
      ContractError,
    ],
    ['null', (_, r) => void r.end('null'), /the server speaks none/, ContractError],
    ['a score of null', (_, r) => reply(r, {version: 1, scores: [1, NaN, 2]}), /is null for prompt "prompt 1"/, NonFiniteError],
    ['a score as text', (_, r) => reply(r, {version: 1, scores: [1, 2, '3']}), /is "3" for prompt "prompt 2"/, NonFiniteError],
    ['a score beyond float32', (_, r) => reply(r, {version: 1, scores: [1e300, 1, 2]}), /is 1e\+300 for prompt/, NonFiniteError],
    ['an infinite score', (_, r) => void r.end('{"version":1,"scores":[1e999,1,2]}'), /for prompt "prompt 0"/, NonFiniteError],
  ];
  for (const [what, fault, says, type] of refused) {
    it(`refuses ${what}, without another attempt`, async () => {
      const {error, posts} = await failure(fault);
      expect(error).to.be.instanceOf(type);
      expect(error.message).to.match(says);
      expect(posts).to.equal(1);
    });
  }

  it('does not read a huge answer, whether its length is told or not', async () => {
    const told = await failure((_, response) => void response.writeHead(200, {'content-length': 2 ** 40}).write('['));
    expect(told.error.message).to.include('wanted an answer of at most 1048576 bytes; got a larger one');
    let written = 0;
    const endless = await failure((_, response) => {
      const more = (): void => {
        if (response.destroyed || written > 2 ** 28) return;
        written += 2 ** 16;
        response.write(' '.repeat(2 ** 16), () => setImmediate(more));
      };
      response.writeHead(200);
      more();
    });
    expect(endless.error.message).to.include('wanted an answer of at most 1048576 bytes; got a larger one');
    expect(written).to.be.below(2 ** 26);
  });

  for (const [what, said, says] of [
    ['another version', {...info, version: 3}, /wanted version 1 .* speaks 3/],
    ['no name', {...info, name: undefined}, /wanted GET to say what the server scores; name: /],
    ['a name that is no word', {...info, name: 'rm -rf'}, /name: /],
    ['room for no video', {...info, maxVideos: 0}, /maxVideos: /],
  ] as const) {
    it(`refuses a server that says ${what}`, async () => {
      const server = await serve((_, response) => reply(response, said));
      const error = await rejection(open(server.url));
      expect(error).to.be.instanceOf(ContractError);
      expect(error.message).to.match(says);
    });
  }

  it('refuses videos that no request can hold, before it makes one', async () => {
    const {reward, server} = await openAt();
    const huge = {dtype: 'float32' as const, shape: [1, 512, 1024, 1024, 3], data: new Float32Array(0)};
    expect(await rejection(reward.score(huge, prompts(1)))).to.be.instanceOf(ConfigError);
    expect(server.requests).to.have.length(1);
  });

  it('ends what is under way when it is closed, and scores nothing after', async () => {
    const {reward} = await openAt(
      onPost(() => undefined),
      {timeoutSeconds: 60},
    );
    const waiting = rejection(reward.score(clips(2), prompts(2)));
    await new Promise((resolve) => setTimeout(resolve, 30));
    await reward.close!();
    expect((await waiting).message).to.include('the reward was closed before the server answered');
    expect((await rejection(reward.score(clips(2), prompts(2)))).message).to.include('it was closed');
  });

  it('refuses URLs of another form, and with a password in them', () => {
    for (const url of ['ftp://x/y', 'http://', 'file:///etc/passwd'])
      expect(() => httpReward(url), url).to.throw(ConfigError, 'wanted http://host:port/path');
    expect(() => httpReward('http://me:secret@host/x'))
      .to.throw(ConfigError)
      .with.property('message')
      .that.does.not.include('secret');
  });
});
