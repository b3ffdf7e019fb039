/** One question to a reward server and its answer: time-out, size limit, retries. The only file of rlft that uses the network. */
import {defer, lastValueFrom, retry, throwError, timer} from 'rxjs';
import {ContractError, RlftError} from '../errors.js';
import {uniforms} from '../tensor/random.js';

/** How patiently a server is asked. */
export interface Patience {
  /** Seconds for one attempt, from the connection to the last byte. */
  readonly timeoutSeconds: number;
  /** Attempts before the question counts as failed; ≥ 1. */
  readonly attempts: number;
  /** Seconds before the second attempt; each further wait is twice as long, and all are drawn between half and one and a half of it. */
  readonly backoffSeconds: number;
}

/** A larger answer is not read: scores of the largest request take a tenth of it. */
const MOST_BYTES = 2 ** 20;
/** Statuses of servers that are starting, busy or restarting. */
const worthWhile = new Set([408, 425, 429, 500, 502, 503, 504]);

/** A failure that may pass. */
class PassingError extends RlftError {}

/**
 * Asks once or, where the failure may pass (no connection, no answer in time, a busy or broken server), several times.
 *
 * @param url where; redirects are not followed.
 * @param body what to POST as JSON; undefined: GET.
 * @param question a number that no other question of this reward has: waits are drawn from it.
 * @param signal ends it.
 * @returns the answer's JSON, unchecked.
 * @throws RlftError if no attempt succeeded; ContractError if the server refused the question or answered something other than
 * JSON. Messages name the server by `url`.
 */
export async function exchange(
  url: string,
  body: unknown,
  {timeoutSeconds, attempts, backoffSeconds}: Patience,
  question: number,
  signal: AbortSignal,
): Promise<unknown> {
  const waits = uniforms({seed: 0, purpose: 'httpReward', iteration: question}, new Float32Array(attempts));
  const delay = (error: unknown, failures: number) => {
    if (!(error instanceof PassingError) || signal.aborted) return throwError(() => error);
    return timer(1000 * backoffSeconds * 2 ** (failures - 1) * (0.5 + waits[failures - 1]));
  };
  try {
    return await lastValueFrom(defer(() => askOnce(url, body, timeoutSeconds, signal)).pipe(retry({count: attempts - 1, delay})));
  } catch (cause) {
    if (!(cause instanceof PassingError)) throw cause;
    const tried = attempts === 1 ? 'one attempt' : `${attempts} attempts`;
    throw new RlftError(
      `reward ${url}: wanted an answer; got ${cause.message} in ${tried}. Is the server running and up to its load?`,
      {
        cause,
      },
    );
  }
}

async function askOnce(url: string, body: unknown, timeoutSeconds: number, signal: AbortSignal): Promise<unknown> {
  const late = AbortSignal.timeout(1000 * timeoutSeconds);
  let text: string;
  let status: number;
  try {
    const response = await fetch(url, {
      ...(body !== undefined && {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify(body)}),
      redirect: 'manual',
      signal: AbortSignal.any([late, signal]),
    });
    status = response.status;
    text = await readLimited(response, url);
  } catch (cause) {
    if (cause instanceof RlftError) throw cause;
    if (signal.aborted) throw new RlftError(`reward ${url}: the reward was closed before the server answered.`, {cause});
    if (late.aborted) throw new PassingError(`none within ${timeoutSeconds} s`, {cause});
    throw new PassingError(`"${reasonOf(cause)}"`, {cause});
  }
  const said = text.trim() === '' ? '' : `: ${printable(text)}`;
  if (worthWhile.has(status)) throw new PassingError(`status ${status}${said}`);
  if (status !== 200) throw new ContractError(`reward ${url}: wanted status 200; got ${status}${said}.`);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ContractError(`reward ${url}: wanted JSON (which has no NaN or Infinity); got ${printable(text) || 'nothing'}.`, {
      cause,
    });
  }
}

/** Reads an answer as far as its limit. */
async function readLimited(response: Response, url: string): Promise<string> {
  const tooLarge = (): ContractError =>
    new ContractError(`reward ${url}: wanted an answer of at most ${MOST_BYTES} bytes; got a larger one.`);
  if (Number(response.headers.get('content-length')) > MOST_BYTES) {
    await response.body?.cancel();
    throw tooLarge();
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    // Leaving the loop cancels the stream.
    if (bytes > MOST_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The reason beneath fetch's "fetch failed". */
function reasonOf(error: unknown): string {
  const {cause, message} = error as Error;
  const {code, message: inner} = (cause ?? {}) as {code?: string; message?: string};
  return printable(code ?? inner ?? message);
}

/** Words of a stranger for a message: one short line without control characters. */
export const printable = (text: string): string =>
  text
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim()
    .slice(0, 120);
