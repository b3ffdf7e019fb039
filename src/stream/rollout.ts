/** Requests → trajectories, one batch of prompts at a time, all under the parameters that are on the device. */
import {concatMap, from, type OperatorFunction} from 'rxjs';
import type {ResidentTree} from '../engine/device.js';
import type {GenerateRequest, Generator, Trajectories} from '../rollout/generate.js';

/** One batch at a time: the device runs one graph at a time anyway, and memory holds one batch. */
export const rollout = (generate: Generator, policy: ResidentTree): OperatorFunction<GenerateRequest, Trajectories> =>
  concatMap((request) => from(generate(policy, request)));
