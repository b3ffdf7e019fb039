/**
 * A reward server: whatever can answer HTTP can be a reward. docs/http-rewards.md is the protocol.
 *
 *   node --import tsx examples/05-reward-server.ts          starts, is checked, serves two iterations of a run, and ends
 *   node --import tsx examples/05-reward-server.ts 8000     serves until Ctrl-C, for
 *                                                           rlft run ddpo --reward http://127.0.0.1:8000/score
 *
 * examples/reward_server.py is the same in Python, without packages.
 */
import {createServer, type IncomingMessage} from 'node:http';
import type {AddressInfo} from 'node:net';
// In a project of your own: from 'rlft/conformance' and 'rlft'.
import {checkRewardServer} from '../src/conformance.js';
import {createRunFolder, ddpo, fluentClips, httpReward, runTuning, tuneConfig} from '../src/index.js';

const info = {version: 1, name: 'warmth', unit: '1', summary: 'red less blue, -1 to 1', maxVideos: 64};

/** Red less blue of each video of a request. Throws what is wrong with the request. */
function scoresOf(request: unknown): number[] {
  const {version, prompts, videos} = request as {
    version?: unknown;
    prompts?: unknown[];
    videos?: {shape: number[]; dtype: string; encoding: string; data: string};
  };
  if (version !== 1) throw new Error('wanted version 1');
  if (!Array.isArray(prompts) || !Array.isArray(videos?.shape)) throw new Error('wanted prompts, and videos with a shape');
  const {shape, dtype, encoding, data} = videos;
  if (dtype !== 'uint8' || encoding !== 'base64' || shape.length !== 5 || !shape.every((n) => Number.isInteger(n) && n > 0))
    throw new Error('wanted videos [B, F, H, W, C] of uint8 in base64');
  if (shape[0] !== prompts.length || shape[0] > info.maxVideos)
    throw new Error(`wanted a prompt a video, and at most ${info.maxVideos}`);
  const bytes = Buffer.from(data, 'base64');
  const size = shape.slice(1).reduce((n, d) => n * d, 1);
  if (bytes.length !== shape[0] * size) throw new Error(`wanted ${shape[0] * size} bytes; got ${bytes.length}`);
  return Array.from({length: shape[0]}, (_, video) => {
    let sum = 0;
    for (let i = video * size; i < (video + 1) * size; i += shape[4]) sum += bytes[i] - bytes[i + shape[4] - 1];
    return sum / (size / shape[4]) / 255;
  });
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > 2 ** 28) throw new Error('wanted a smaller request');
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString());
}

const server = createServer((request, response) => {
  const answer = (status: number, value: unknown): void =>
    void response.writeHead(status, {'content-type': 'application/json'}).end(JSON.stringify(value));
  if (request.method === 'GET') return answer(200, info);
  bodyOf(request).then(
    (body) => {
      try {
        answer(200, {version: 1, scores: scoresOf(body)});
      } catch (error) {
        answer(400, {version: 1, error: (error as Error).message});
      }
    },
    (error: Error) => answer(400, {version: 1, error: error.message}),
  );
});

const port = Number(process.argv[2] ?? 0);
await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/score`;
console.log(`serving ${info.name}: ${info.summary}`);

if (port === 0) {
  await checkRewardServer(url);
  console.log('it speaks the protocol');
  const summary = await runTuning({
    config: tuneConfig(ddpo, {
      preset: 'nano',
      reward: 'http',
      iterations: 2,
      promptsPerIteration: 2,
      samplesPerPrompt: 4,
      samplingSteps: 4,
      evaluation: {prompts: 4, steps: 4},
    }),
    folder: await createRunFolder('runs/example-05', {force: true}),
    reward: httpReward(url, {timeoutSeconds: 10}),
    params: fluentClips('nano').initialise(0),
  });
  console.log(`held out: ${summary.evaluation?.before.toFixed(4)} before, ${summary.evaluation?.after.toFixed(4)} after`);
  server.closeAllConnections();
  server.close();
}
