/**
 * One update of direct reward backpropagation on the peer's network, batch 8: noise clips to a random level, one jump to the clean clip,
 * cosine of a frozen encoder's embedding, AdamW; `direct+cd` adds the consistency term, two calls without gradient.
 *
 * `rlft` encodes the captions in every update, as the peer does; `rlft-text-once` has them from the rollout, as `rlft run direct`.
 */
import {lastValueFrom, of} from 'rxjs';
import {direct} from '../algorithms/direct.js';
import type {Scored} from '../src/algorithm.js';
import {openOrtDevice} from '../src/engine/ortDevice.js';
import {createLearner} from '../src/learn/learner.js';
import {packPolicyFor} from '../src/rollout/residentPolicy.js';
import {textEncoder} from '../src/rollout/textEncoder.js';
import {ndarray, sizeOf} from '../src/tensor/ndarray.js';
import {normals} from '../src/tensor/random.js';
import {emit, repeat, THREADS} from './measure.js';
import {encoderOperations, forwardOperations} from './peerNetwork.js';
import {embeddingReward, peerWorld} from './peerWorld.js';

const BATCH = 8;

/** Measures one preset, with the consistency term or without. */
export const benchDirect =
  (consistency: boolean) =>
  async (preset: string): Promise<void> => {
    const {world, config} = peerWorld(preset, BATCH);
    const reward = embeddingReward(config);
    const params = world.initialise(0);
    const layout = packPolicyFor(world, params);
    const algorithm = direct.configure(
      direct.options.parse({variant: 'oneStep', learningRate: 1e-6, weightDecay: 1e-3, distillationWeight: consistency ? 1 : 0}),
    );
    const device = await openOrtDevice('cpu', {provider: 'cpu', threads: THREADS}, {});
    const shared = {environment: world, device, layout, density: 'gaussian' as const, guidanceScale: 1};
    const learner = await createLearner({
      ...shared,
      loss: algorithm.loss,
      scalars: algorithm.scalars,
      optimizer: algorithm.optimizer,
      microbatch: BATCH,
      reference: params,
      reward,
    });
    const encode = textEncoder(world, device, layout);
    const prompts = world.prompts('train', BATCH);
    const read = () =>
      encode(
        learner.policy,
        prompts.map(({text}) => text),
      );
    const known = await read();
    const clips = ndarray(
      'float32',
      [BATCH, ...world.latentShape],
      normals({seed: 0, purpose: 'clips'}, new Float32Array(BATCH * sizeOf(world.latentShape))),
    );
    let iteration = 0;
    const update = (text: typeof read) => async (): Promise<void> => {
      const trajectories = {
        prompts,
        latents: [clips],
        logProbs: [],
        text: await text(),
        textRow: prompts.map((_, i) => i),
        table: [],
        videos: world.decode(clips),
      };
      const scored: Scored = {trajectories, rewards: new Float32Array(BATCH)};
      await lastValueFrom(
        algorithm.learn(of(scored), {iteration: iteration++, memory: null, metrics: {}}, {learner, seed: 0, reward}),
      );
    };
    const f = forwardOperations(config, false);
    const operations = BATCH * ((consistency ? 5 : 3) * f + 2 * encoderOperations(config));
    for (const [variant, text] of [
      ['', read],
      ['-text-once', () => Promise.resolve(known)],
    ] as const) {
      const times = await repeat(preset === 'base' ? 4 : 10, 2, update(text));
      emit(`direct${consistency ? '+cd' : ''}/${preset}`, times, {variant, unit: 's/update', operations, batch: BATCH});
    }
    await learner.close();
    await device.close();
  };
