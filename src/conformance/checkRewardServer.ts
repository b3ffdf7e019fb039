/** Whether a reward server speaks the protocol of docs/http-rewards.md, whatever it is written in. */
import {RlftError} from '../errors.js';
import type {Reward} from '../reward.js';
import {exchange} from '../rewards/httpExchange.js';
import {PROTOCOL_VERSION, scoreRequest, type ScoreRequest} from '../rewards/httpProtocol.js';
import {httpReward} from '../rewards/httpReward.js';
import {fixedClips} from '../rewards/fixedClips.js';
import {take} from '../tensor/ndarray.js';
import {findingsOf, largestGap, sameData, type Findings} from './findings.js';

/** Videos of a check. */
const COUNT = 5;
/** A network on a GPU may give a video of another batch another last digit. */
const SLACK = 1e-3;

const captions = ['a red cat', 'a blue star at night', 'two dogs', 'a red cat', 'ein grüner Baum “im” Schnee 🌲'];

/**
 * Asks a server everything that a run would ask it, and things that it must refuse.
 *
 * @param url of the server.
 * @param options.videoShape `[F, H, W, C]` of videos that it scores. Default `[4, 16, 16, 3]`.
 * @param options.timeoutSeconds for one request. Default 120.
 * @throws ContractError that lists all faults.
 */
export async function checkRewardServer(
  url: string,
  options: {readonly videoShape?: readonly number[]; readonly timeoutSeconds?: number} = {},
): Promise<void> {
  const {videoShape = [4, 16, 16, 3], timeoutSeconds = 120} = options;
  const found = findingsOf(`reward server ${url}`);
  const patience = {timeoutSeconds, attempts: 1, backoffSeconds: 0};
  const reward = await found.part('GET', () => httpReward(url, patience).open(undefined as never));
  if (reward) {
    await found.part('scores', () => checkScores(found, reward, videoShape));
    await reward.close?.();
  }
  const good = scoreRequest(fixedClips(2, videoShape), promptsOf([0, 1]));
  const post = (body: unknown): Promise<unknown> => exchange(url, body, patience, 0, new AbortController().signal);
  for (const [what, body] of Object.entries(wrongRequests(good))) {
    const answer = await post(body).catch((error: unknown) => error);
    found.check(
      answer instanceof RlftError && /got (status )?4\d\d/.test(answer.message),
      `${what}: wanted status 400 to 499; got ${answer instanceof Error ? answer.message : `status 200 and ${JSON.stringify(answer)}`}`,
    );
  }
  found.finish();
}

const promptsOf = (indices: readonly number[]) => indices.map((i) => ({id: `check-${i}`, text: captions[i]}));

async function checkScores(found: Findings, reward: Reward, videoShape: readonly number[]): Promise<void> {
  const videos = fixedClips(COUNT, videoShape);
  const ask = (order: readonly number[]): Promise<Float32Array> => reward.score(take(videos, order), promptsOf(order));
  const scores = await ask([0, 1, 2, 3, 4]);
  const size = Math.max(1e-3, ...scores.map(Math.abs));
  const near = (a: Float32Array, order: readonly number[]): boolean =>
    largestGap(
      a,
      order.map((i) => scores[i]),
    ) <=
    SLACK * size;
  found.check(near(await ask([0, 1, 2, 3, 4]), [0, 1, 2, 3, 4]), 'scores: wanted the same ones at every call; they changed');
  const order = [3, 0, 4, 1, 2];
  found.check(near(await ask(order), order), 'scores: wanted each to go with its video; another order changes them');
  found.check(near(await ask([2]), [2]), 'scores: wanted a video to score the same by itself; it does not');
  found.check(
    !sameData(scores, new Float32Array(COUNT).fill(scores[0])),
    `scores: wanted different videos to differ; all score ${scores[0]}`,
  );
}

/** Requests that a server must refuse, each wrong in one thing. */
function wrongRequests(good: ScoreRequest): Record<string, unknown> {
  const {videos, prompts} = good;
  return {
    'a request of another version': {...good, version: PROTOCOL_VERSION + 1},
    'a request without videos': {version: PROTOCOL_VERSION, prompts},
    'fewer prompts than videos': {...good, prompts: prompts.slice(1)},
    'fewer bytes than the shape says': {...good, videos: {...videos, data: videos.data.slice(0, videos.data.length / 4)}},
    'a negative shape': {...good, videos: {...videos, shape: videos.shape.map((n) => -n)}},
    'another dtype': {...good, videos: {...videos, dtype: 'float32'}},
    'a list instead of an object': [good],
  };
}
