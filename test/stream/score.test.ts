import {expect} from 'chai';
import {EMPTY, Subject, lastValueFrom, of, throwError, toArray} from 'rxjs';
import type {Scored} from '../../src/algorithm.js';
import type {Prompt} from '../../src/environment.js';
import {ContractError, NonFiniteError} from '../../src/errors.js';
import type {Reward} from '../../src/reward.js';
import type {Trajectories} from '../../src/rollout/generate.js';
import {score} from '../../src/stream/score.js';
import {zeros} from '../../src/tensor/ndarray.js';
import {rejection} from '../support/files.js';

/** A batch of two videos whose prompts tell its number. */
const batch = (n: number): Trajectories =>
  ({
    prompts: [0, 1].map((i) => ({id: `${n}/${i}`, text: `batch ${n} video ${i}`})),
    videos: zeros('float32', [2, 1, 1, 1, 1]),
  }) as unknown as Trajectories;

/** A reward that answers when it is told to. */
function heldReward(): {
  reward: Reward;
  open: Map<string, (rewards: number[] | Error) => void>;
  started: string[];
  most: () => number;
} {
  const open = new Map<string, (rewards: number[] | Error) => void>();
  const started: string[] = [];
  let most = 0;
  const answer = (prompts: readonly Prompt[]): Promise<Float32Array> =>
    new Promise((resolve, reject) => {
      const name = prompts[0].id.split('/')[0];
      started.push(name);
      open.set(name, (rewards) => {
        open.delete(name);
        if (rewards instanceof Error) reject(rewards);
        else resolve(Float32Array.from(rewards));
      });
      most = Math.max(most, open.size);
    });
  return {reward: {name: 'held', unit: '1', score: (_, prompts) => answer(prompts)}, open, started, most: () => most};
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What came out so far. */
function listen(reward: Reward, concurrency: number) {
  const source = new Subject<Trajectories>();
  const seen: (string | Error)[] = [];
  const subscription = source.pipe(score(reward, concurrency)).subscribe({
    next: ({trajectories, rewards}: Scored) => seen.push(`${trajectories.prompts[0].id.split('/')[0]}:${rewards.join()}`),
    error: (error: Error) => seen.push(error),
    complete: () => seen.push('done'),
  });
  return {source, seen, subscription};
}

describe('score', () => {
  it('delivers in the order of arrival, however the rewards come', async () => {
    const {reward, open} = heldReward();
    const {source, seen} = listen(reward, 3);
    [0, 1, 2].forEach((n) => source.next(batch(n)));
    source.complete();
    open.get('2')!([4, 5]);
    open.get('1')!([2, 3]);
    await settled();
    expect(seen).to.deep.equal([]);
    open.get('0')!([0, 1]);
    await settled();
    expect(seen).to.deep.equal(['0:0,1', '1:2,3', '2:4,5', 'done']);
  });

  it('scores as many batches at once as it may, and no more', async () => {
    const {reward, open, started, most} = heldReward();
    const {source, seen} = listen(reward, 2);
    [0, 1, 2, 3].forEach((n) => source.next(batch(n)));
    source.complete();
    expect(started).to.deep.equal(['0', '1']);
    open.get('1')!([1, 1]);
    await settled();
    expect(started).to.deep.equal(['0', '1', '2']);
    while (seen.at(-1) !== 'done') {
      [...open.values()].forEach((answer) => answer([0, 0]));
      await settled();
    }
    expect(most()).to.equal(2);
    expect(seen).to.have.length(5);
  });

  it('completes without a batch', async () => {
    expect(await lastValueFrom(EMPTY.pipe(score(heldReward().reward, 2), toArray()))).to.deep.equal([]);
  });

  it('names the prompt of a reward that is not finite, and lets nothing of that batch through', async () => {
    const {reward, open} = heldReward();
    const {source, seen} = listen(reward, 1);
    source.next(batch(7));
    open.get('7')!([1, NaN]);
    await settled();
    expect(seen).to.have.length(1);
    expect(seen[0]).to.be.instanceOf(NonFiniteError);
    expect((seen[0] as Error).message).to.match(/reward "held" is NaN for prompt "batch 7 video 1"/);
  });

  it('says how many scores it wanted', async () => {
    const {reward, open} = heldReward();
    const {source, seen} = listen(reward, 1);
    source.next(batch(0));
    open.get('0')!([1]);
    await settled();
    expect(seen[0]).to.be.instanceOf(ContractError);
    expect((seen[0] as Error).message).to.include('wanted 2 scores, one a video; got 1');
  });

  it('ends with the error of a reward, whether it rejects or throws, and with that of its source', async () => {
    const failing = (fail: () => Promise<Float32Array>): Reward => ({name: 'failing', unit: '1', score: fail});
    const run = (reward: Reward): Promise<unknown> => lastValueFrom(of(batch(0)).pipe(score(reward, 1)));
    expect((await rejection(run(failing(() => Promise.reject(new Error('offline')))))).message).to.equal('offline');
    const thrower = failing(() => {
      throw new Error('at once');
    });
    expect((await rejection(run(thrower))).message).to.equal('at once');
    const source = throwError(() => new Error('lost')).pipe(score(heldReward().reward, 1));
    expect((await rejection(lastValueFrom(source))).message).to.equal('lost');
  });

  it('tells of every batch that it begins, whose end can be waited for after nobody listens any more', async () => {
    const {reward, open} = heldReward();
    const begun: Promise<unknown>[] = [];
    const subscription = of(batch(0))
      .pipe(score(reward, 1, (work) => begun.push(work)))
      .subscribe();
    subscription.unsubscribe();
    open.get('0')!([2, 3]);
    expect(await Promise.all(begun)).to.have.length(1);
    expect(((await begun[0]) as Scored).rewards).to.deep.equal(Float32Array.of(2, 3));
  });

  it('asks for nothing and tells nothing after nobody listens any more', async () => {
    const {reward, open, started} = heldReward();
    const {source, seen, subscription} = listen(reward, 1);
    source.next(batch(0));
    source.next(batch(1));
    subscription.unsubscribe();
    open.get('0')!([0, 0]);
    await settled();
    expect(started).to.deep.equal(['0']);
    expect(seen).to.deep.equal([]);
  });
});
