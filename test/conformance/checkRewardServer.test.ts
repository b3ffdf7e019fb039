/** The check of reward servers passes a good one and names every fault of a bad one. */
import {expect} from 'chai';
import {checkRewardServer} from '../../src/conformance.js';
import {ContractError} from '../../src/errors.js';
import {sizeOf} from '../../src/tensor/ndarray.js';
import {rejection} from '../support/files.js';
import {info, means, reply, rewardServer, type Answer, type TestServer} from '../support/rewardServer.js';

/** A server that refuses what it must. */
const strict =
  (score: (request: Parameters<typeof means>[0]) => unknown[]): Answer =>
  (body, response) => {
    if (body === undefined) return reply(response, info);
    const {version, prompts, videos} = body;
    const wrong =
      version !== 1 ||
      !Array.isArray(prompts) ||
      videos?.dtype !== 'uint8' ||
      videos.shape.some((n) => n < 1) ||
      prompts.length !== videos.shape[0] ||
      Buffer.from(videos.data, 'base64').length !== sizeOf(videos.shape);
    return wrong
      ? reply(response, {version: 1, error: 'not a request'}, 400)
      : reply(response, {version: 1, scores: score(body)});
  };

describe('checkRewardServer', function () {
  this.timeout(20_000);
  const servers: TestServer[] = [];
  afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));
  const check = async (answer: Answer): Promise<void> => {
    const server = await rewardServer(answer);
    servers.push(server);
    await checkRewardServer(server.url, {videoShape: [2, 4, 4, 3], timeoutSeconds: 1});
  };
  const faults = async (answer: Answer): Promise<string[]> => {
    const error = await rejection(check(answer));
    expect(error).to.be.instanceOf(ContractError);
    return error.message.split('\n').slice(1);
  };

  it('passes a server that does everything right', () => check(strict(means)));

  it('names each request that should have been refused', async () => {
    const lenient: Answer = (body, response) =>
      reply(response, body === undefined ? info : {version: 1, scores: body.videos ? means(body) : []});
    const found = (await faults(lenient)).join('\n');
    for (const what of ['another version', 'without videos', 'fewer prompts', 'fewer bytes', 'another dtype', 'a list instead'])
      expect(found).to.include(what);
  });

  it('names a server that fails where it should refuse', async () => {
    const found = await faults((body, response, ...rest) =>
      (body?.version as number | undefined) === 2 ? reply(response, {}, 500) : strict(means)(body, response, ...rest),
    );
    expect(found).to.have.length(1);
    expect(found[0]).to.match(/a request of another version: wanted status 400 to 499; got .*status 500/);
  });

  it('catches scores that change, that do not go with their video, that see the batch, or that are all alike', async () => {
    let calls = 0;
    expect((await faults(strict((r) => means(r).map((x) => x + calls++)))).join()).to.include('the same ones at every call');
    expect((await faults(strict((r) => means(r).map((_, i) => i)))).join()).to.include('another order changes them');
    expect((await faults(strict((r) => means(r).map((x) => x + r.prompts.length)))).join()).to.include('by itself');
    expect((await faults(strict((r) => means(r).map(() => 1)))).join()).to.include('all score 1');
  });

  it('names a server that is not there', async () => {
    const server = await rewardServer();
    await server.close();
    const error = await rejection(checkRewardServer(server.url, {timeoutSeconds: 1}));
    expect(error).to.be.instanceOf(ContractError);
    expect(error.message).to.include('GET: wanted no error').and.to.include('ECONNREFUSED');
  });
});
