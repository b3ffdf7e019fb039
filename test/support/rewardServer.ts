/** A reward server inside the test's process, which can be told to misbehave. */
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import {PROTOCOL_VERSION, type ScoreRequest} from '../../src/rewards/httpProtocol.js';

/** What it says of itself. */
export const info = {version: PROTOCOL_VERSION, name: 'mean', unit: '1', summary: 'mean of the bytes'};

/** A running server. */
export interface TestServer {
  readonly url: string;
  /** Requests so far, in order; GETs are undefined. */
  readonly requests: (ScoreRequest | undefined)[];
  /** Milliseconds at which each request came. */
  readonly times: number[];
  close(): Promise<void>;
}

/** Answers one request; `body` is undefined for a GET. */
export type Answer = (
  body: ScoreRequest | undefined,
  response: ServerResponse,
  nth: number,
  request: IncomingMessage,
) => void | Promise<void>;

/** Sends JSON. */
export function reply(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, {'content-type': 'application/json'}).end(JSON.stringify(value));
}

/** Mean of the bytes of each video of a request, over 255. */
export function means({videos: {shape, data}}: ScoreRequest): number[] {
  const bytes = Buffer.from(data, 'base64');
  const size = bytes.length / shape[0];
  return Array.from({length: shape[0]}, (_, i) => {
    return bytes.subarray(i * size, (i + 1) * size).reduce((sum, x) => sum + x, 0) / size / 255;
  });
}

/** The good answer. */
export const good: Answer = (body, response) =>
  reply(response, body === undefined ? info : {version: PROTOCOL_VERSION, scores: means(body)});

/** Starts a server at a free port of this machine. */
export async function rewardServer(answer: Answer = good): Promise<TestServer> {
  const requests: TestServer['requests'] = [];
  const times: number[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = request.method === 'POST' ? (JSON.parse(Buffer.concat(chunks).toString()) as ScoreRequest) : undefined;
      times.push(performance.now());
      void answer(body, response, requests.push(body) - 1, request);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/score`,
    requests,
    times,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
