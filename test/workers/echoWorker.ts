/** A worker for the tests of the pool: says what it got, throws or dies when told to. */
import {serve} from '../../src/workers/pool.js';

export type EchoRequest = {say: string; wait?: number} | {fail: string} | {die: true} | {buffer: number};
export type EchoReply = {setup: string; said: string} | {bytes: Uint8Array<ArrayBuffer>};

serve<EchoRequest, EchoReply, string>(
  (setup) => (request) => {
    if ('fail' in request) throw new RangeError(request.fail);
    if ('die' in request) process.exit(7);
    if ('buffer' in request) return {bytes: new Uint8Array(request.buffer).fill(9)};
    const end = Date.now() + (request.wait ?? 0);
    while (Date.now() < end);
    return {setup, said: request.say};
  },
  (reply) => ('bytes' in reply ? [reply.bytes.buffer] : []),
);
