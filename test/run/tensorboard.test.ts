import {expect} from 'chai';
import {readdirSync, readFileSync, truncateSync} from 'node:fs';
import {join} from 'node:path';
import {openEvents} from '../../src/run/tensorboard.js';
import {temporaryFolder} from '../support/files.js';

/**
 * Written by tensorboard 2.21.0 (RecordWriter over Event protobufs): the version event, two scalars at step 300, and an image at
 * step 2^33, all at wall time 1700000000.5.
 */
const golden =
  '1800000000000000a37f4b220900002040fc54d9411a0d627261696e2e4576656e743a322b3531103a000000000000001295eae20900002040fc54d94110ac02' +
  '2a2c0a120a0b7265776172642f6d65616e15cdcccc3d0a160a0f706f6c6963792f617070726f784b6c15000020c0fffc7f6d300000000000000095f5d05f0900' +
  '002040fc54d9411080808080202a1f0a1d0a0a73616d706c65732fc3a9220f080710ac0218032206474946383961d7805989';

describe('run/tensorboard', () => {
  const folder = temporaryFolder();
  const now = (): number => 1700000000.5;
  const gif = {width: 300, height: 7, bytes: Buffer.from('GIF89a')};
  const content = (): string => {
    const [name, ...others] = readdirSync(folder());
    expect(others).to.deep.equal([]);
    return readFileSync(join(folder(), name)).toString('hex');
  };

  it("writes the bytes that TensorBoard's own writer does", async () => {
    const events = await openEvents(folder(), {completed: 0, now});
    await events.scalars(300, {'reward/mean': 0.1, 'policy/approxKl': -2.5});
    await events.image(2 ** 33, 'samples/é', gif);
    await events.close();
    expect(readdirSync(folder())).to.deep.equal(['events.out.tfevents.1700000000.rlft']);
    expect(content()).to.equal(golden);
  });

  it('leaves out what is not finite, and a step that has nothing else', async () => {
    const events = await openEvents(folder(), {completed: 0, now});
    await events.scalars(1, {bad: NaN, worse: Infinity});
    const before = content();
    await events.scalars(2, {bad: NaN, good: 1});
    await events.close();
    expect(before).to.equal(golden.slice(0, 2 * 40));
    expect(content()).to.match(/0a0b0a04676f6f64150000803f.{8}$/);
  });

  it('goes on from a checkpoint as if what came after it had never been written, the pictures of its own step among it', async () => {
    const through = async (completed: number, steps: number[]): Promise<void> => {
      const events = await openEvents(folder(), {completed, now});
      if (completed > 0) await events.image(completed, 'clip', gif);
      for (const step of steps) {
        await events.scalars(step, {a: step});
        await events.image(step, 'clip', gif);
      }
      await events.close();
    };
    await through(0, [1, 2, 127, 128, 300]);
    const straight = content();
    await through(128, [300]);
    expect(content()).to.equal(straight);
    const [name] = readdirSync(folder());
    truncateSync(join(folder(), name), straight.length / 2 - 3); // the last record, torn by a kill
    await through(127, [128, 300]);
    expect(content()).to.equal(straight);
  });
});
