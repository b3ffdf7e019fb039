import {expect} from 'chai';
import {besideModule, workerPool, type WorkerPool} from '../../src/workers/pool.js';
import type {EchoReply, EchoRequest} from './echoWorker.js';

const open = (threads: number): WorkerPool<EchoRequest, EchoReply> =>
  workerPool<EchoRequest, EchoReply>(besideModule(import.meta.url, 'echoWorker'), threads, 'hello');

const rejection = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => new Error('nothing was thrown'),
    (error: Error) => error,
  );

describe('workerPool', () => {
  let pool: WorkerPool<EchoRequest, EchoReply>;
  beforeEach(() => (pool = open(2)));
  afterEach(() => pool.close());

  it('answers every request with its own reply, whichever thread is done first', async () => {
    const waits = [60, 0, 20, 0, 10];
    const replies = await Promise.all(waits.map((wait, i) => pool.run({say: `${i}`, wait})));
    expect(replies).to.deep.equal(waits.map((_, i) => ({setup: 'hello', said: `${i}`})));
  });

  it('moves buffers of a reply', async () => {
    const reply = (await pool.run({buffer: 5})) as {bytes: Uint8Array};
    expect([...reply.bytes]).to.deep.equal([9, 9, 9, 9, 9]);
  });

  it('passes on what the handler throws, and goes on', async () => {
    const error = await rejection(pool.run({fail: 'too far'}));
    expect(error).to.be.instanceOf(RangeError);
    expect(error.message).to.equal('too far');
    expect(await pool.run({say: 'again'})).to.deep.equal({setup: 'hello', said: 'again'});
  });

  it('says so when a thread ends in the middle, and starts another', async () => {
    const error = await rejection(pool.run({die: true}));
    expect(error.message).to.match(/echoWorker.*the thread ended with code 7/);
    expect(await pool.run({say: 'again'})).to.deep.equal({setup: 'hello', said: 'again'});
  });

  it('rejects what is open when it is closed, and whatever comes later', async () => {
    const open = [
      rejection(pool.run({say: 'a', wait: 5000})),
      rejection(pool.run({say: 'b', wait: 5000})),
      rejection(pool.run({say: 'c'})),
    ];
    await pool.close();
    for (const error of await Promise.all(open)) expect(error.message).to.match(/thread ended|closed/);
    expect((await rejection(pool.run({say: 'd'}))).message).to.match(/it was closed/);
  });
});

describe('besideModule', () => {
  it('keeps the extension of the module that asks', () => {
    expect(besideModule('file:///a/b/c.ts', 'w').href).to.equal('file:///a/b/w.ts');
    expect(besideModule('file:///a/b/c.js', 'w').href).to.equal('file:///a/b/w.js');
  });
});
