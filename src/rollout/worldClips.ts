/**
 * A world's own clips in the place of rollouts: trajectories of no steps, whose only latent is the clean one. Nobody scores them.
 */
import type {ClipPlan, Scored} from '../algorithm.js';
import type {Device, ResidentTree} from '../engine/device.js';
import type {Environment} from '../environment.js';
import {ConfigError} from '../errors.js';
import {fromBytes} from '../tensor/pixels.js';
import type {PolicyPacking} from './residentPolicy.js';
import {textEncoder} from './textEncoder.js';

/** Reads the clips of an iteration. */
export interface WorldClips {
  /**
   * The clips of iteration `iteration`, counted from 0, with the text states of a policy: a pure function of the number, and no clip
   * comes twice.
   */
  read(policy: ResidentTree, iteration: number): Promise<Scored>;
  /** Ends what renders them. */
  close(): Promise<void>;
}

/**
 * Opens the clips that a plan asks for.
 *
 * @throws ConfigError if the world makes no clips, or cannot turn them into latents.
 */
export function openWorldClips(
  environment: Environment,
  device: Device,
  layout: PolicyPacking,
  {stream, count}: ClipPlan,
): WorldClips {
  const {encode} = environment;
  if (!environment.openClips || !encode) {
    throw new ConfigError(
      `environment: wanted a world that makes clips to learn from and turns them into latents (openClips, encode); ${environment.name} does not; use an algorithm that learns from rollouts.`,
    );
  }
  // Rendering takes about a tenth of the time of an update, and the threads are the device's.
  const source = environment.openClips(stream, 0);
  const texts = textEncoder(environment, device, layout);
  return {
    async read(policy, iteration) {
      const indices = Array.from({length: count}, (_, i) => iteration * count + i);
      const clips = await source.clips(indices, false);
      const videos = fromBytes(clips.videos);
      return {
        trajectories: {
          prompts: clips.texts.map((text, i) => ({id: `${stream}-${indices[i]}`, text})),
          latents: [encode(videos)],
          logProbs: [],
          text: await texts(policy, clips.texts),
          textRow: indices.map((_, i) => i),
          table: [],
          videos,
        },
        rewards: new Float32Array(0),
      };
    },
    close: () => source.close(),
  };
}
