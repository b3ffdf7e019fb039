/** A reward that another process computes: `--reward http://127.0.0.1:8000/score`. */
import {Subject, mergeMap} from 'rxjs';
import type {Prompt} from '../environment.js';
import {ConfigError, ContractError, NonFiniteError} from '../errors.js';
import type {Reward, RewardModule} from '../reward.js';
import {rows, type NdArray} from '../tensor/ndarray.js';
import {exchange, printable, type Patience} from './httpExchange.js';
import {encodedLength, PROTOCOL_VERSION, scoreRequest, scoreResponse, serverInfo, type ServerInfo} from './httpProtocol.js';

/** How a server is asked. */
export interface HttpRewardOptions extends Partial<Patience> {
  /** Most videos of one request; the server may want fewer. Default 32. */
  readonly batchSize?: number;
  /** Requests under way at once. Default 4. */
  readonly concurrency?: number;
}

/** Seconds for one attempt suit a large network on a busy GPU; five attempts bridge some eight seconds without a server. */
const patience: Patience = {timeoutSeconds: 120, attempts: 5, backoffSeconds: 0.5};

/** Characters of one request's videos; JSON of twice as many could not be made. */
const MOST_CHARACTERS = 2 ** 28;

/** Whether a source is a server. */
export const isRewardUrl = (source: string): boolean => /^https?:\/\//i.test(source);

/**
 * The reward that a server gives, under the name `http`, or the one it is given in an expression. `open` asks the server whether
 * it is ready. Scores are asked for in batches, several at a time; an attempt that fails for a passing reason is made again.
 *
 * @param url of the server, without user and password.
 * @throws ConfigError if it is no such URL. `open` and `score` throw as `exchange`, ContractError for an answer of the wrong form,
 * and NonFiniteError with the prompt for a score that is no finite float32.
 */
export function httpReward(url: string, options: HttpRewardOptions = {}): RewardModule {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !isRewardUrl(url))
    throw new ConfigError(`reward ${printable(url)}: wanted http://host:port/path; got another form.`);
  if (parsed.username !== '' || parsed.password !== '')
    throw new ConfigError(`reward ${parsed.host}: wanted a URL without user and password, which a run's files would keep.`);
  return {
    name: 'http',
    unit: '1',
    summary: `scores of the server ${parsed.host}${parsed.pathname}`,
    open: () => openServer(url, {...patience, batchSize: 32, concurrency: 4, ...options}),
  };
}

async function openServer(url: string, options: Required<HttpRewardOptions>): Promise<Reward> {
  const closing = new AbortController();
  let questions = 0;
  const ask = (body?: unknown): Promise<unknown> => exchange(url, body, options, questions++, closing.signal);
  const info = infoIn(await ask(), url);
  const batchSize = Math.min(options.batchSize, info.maxVideos ?? options.batchSize);

  // All requests of all callers stand in one line.
  const jobs$ = new Subject<() => Promise<void>>();
  jobs$.pipe(mergeMap((job) => job(), options.concurrency)).subscribe();
  const queued = <T>(work: () => Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      if (closing.signal.aborted) return reject(new ContractError(`reward ${url}: wanted an open reward; it was closed.`));
      jobs$.next(() => work().then(resolve, reject));
    });

  return {
    name: 'http',
    unit: info.unit,
    async score(videos, prompts) {
      const size = encodedLength(videos.shape.slice(1));
      if (size > MOST_CHARACTERS)
        throw new ConfigError(`reward ${url}: wanted videos of at most ${MOST_CHARACTERS} characters in base64; got ${size}.`);
      const count = Math.max(1, Math.min(batchSize, Math.floor(MOST_CHARACTERS / size)));
      const scores = new Float32Array(prompts.length);
      const batches = Array.from({length: Math.ceil(prompts.length / count)}, (_, i) => i * count);
      await Promise.all(
        batches.map((first) =>
          queued(async () => {
            const end = Math.min(first + count, prompts.length);
            scores.set(await scoreBatch(ask, url, rows(videos, first, end), prompts.slice(first, end)), first);
          }),
        ),
      );
      return scores;
    },
    close: async () => {
      jobs$.complete();
      closing.abort();
    },
  };
}

function infoIn(answer: unknown, url: string): ServerInfo {
  checkVersion(answer, url);
  const {data, error} = serverInfo.safeParse(answer);
  if (data) return data;
  const {path, message} = error.issues[0];
  throw new ContractError(`reward ${url}: wanted GET to say what the server scores; ${path.join('.')}: ${message}.`);
}

async function scoreBatch(
  ask: (body: unknown) => Promise<unknown>,
  url: string,
  videos: NdArray<'float32'>,
  prompts: readonly Prompt[],
): Promise<Float32Array> {
  const answer = await ask(scoreRequest(videos, prompts));
  checkVersion(answer, url);
  const {data} = scoreResponse.safeParse(answer);
  if (!data)
    throw new ContractError(`reward ${url}: wanted {"version": 1, "scores": […]}; got ${printable(JSON.stringify(answer))}.`);
  if (data.scores.length !== prompts.length)
    throw new ContractError(`reward ${url}: wanted ${prompts.length} scores, one a video; got ${data.scores.length}.`);
  return Float32Array.from(data.scores, (score, i) => {
    if (typeof score === 'number' && Number.isFinite(Math.fround(score))) return score;
    throw new NonFiniteError(
      `reward ${url} is ${printable(JSON.stringify(score) ?? 'undefined')} for prompt "${prompts[i].text}"; nothing was applied.`,
    );
  });
}

function checkVersion(answer: unknown, url: string): void {
  const version = (answer as {version?: unknown} | null)?.version;
  if (version === PROTOCOL_VERSION) return;
  throw new ContractError(
    `reward ${url}: wanted version ${PROTOCOL_VERSION} of the protocol; the server speaks ${printable(JSON.stringify(version) ?? 'none')}.`,
  );
}
