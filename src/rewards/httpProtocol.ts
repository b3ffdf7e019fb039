/**
 * What is said between rlft and a reward server, version 1: JSON over HTTP. docs/http-rewards.md is the page for those who write
 * a server; this file is the same as a schema.
 */
import {z} from 'zod';
import type {Prompt} from '../environment.js';
import {sizeOf, type NdArray} from '../tensor/ndarray.js';
import {toBytes} from '../tensor/pixels.js';

/** Changes when an older server or client could misunderstand a message. */
export const PROTOCOL_VERSION = 1;

/** Videos of one request, whatever the server says. */
export const MOST_VIDEOS = 1024;

/** What `GET` answers: that the server is ready, and what it scores. */
export const serverInfo = z.object({
  version: z.literal(PROTOCOL_VERSION),
  /** A JavaScript identifier. */
  name: z.string().regex(/^[a-zA-Z][a-zA-Z0-9]*$/),
  unit: z.string().min(1).max(20),
  /** One line. */
  summary: z.string().min(1).max(500),
  /** Most videos of one request; default 32. */
  maxVideos: z.int().min(1).max(MOST_VIDEOS).optional(),
});

/** What `GET` answers. */
export type ServerInfo = z.output<typeof serverInfo>;

/** What `POST` answers: a score a video, in the order of the request. */
export const scoreResponse = z.object({version: z.literal(PROTOCOL_VERSION), scores: z.array(z.unknown())});

/** What `POST` sends. */
export interface ScoreRequest {
  readonly version: typeof PROTOCOL_VERSION;
  /** One a video. */
  readonly prompts: readonly {readonly id: string; readonly text: string}[];
  /** All videos as bytes, row-major: 0 is black, 255 white. */
  readonly videos: {
    /** `[B, F, H, W, C]`. */
    readonly shape: readonly number[];
    readonly dtype: 'uint8';
    readonly encoding: 'base64';
    readonly data: string;
  };
}

/** A request for videos `[B, F, H, W, C]` in [-1, 1]; what is outside is clamped, bytes are round((v + 1)·127.5). */
export function scoreRequest(videos: NdArray<'float32'>, prompts: readonly Prompt[]): ScoreRequest {
  const {data} = toBytes(videos);
  return {
    version: PROTOCOL_VERSION,
    prompts: prompts.map(({id, text}) => ({id, text})),
    videos: {shape: videos.shape, dtype: 'uint8', encoding: 'base64', data: Buffer.from(data.buffer).toString('base64')},
  };
}

/** Characters of the videos of a request, before it is made. */
export const encodedLength = (shape: readonly number[]): number => Math.ceil(sizeOf(shape) / 3) * 4;
