/** Requests → trajectories, one batch of prompts at a time, all under the parameters that are on the device. */
import {concatMap, defer, finalize, from, type OperatorFunction} from 'rxjs';
import type {ResidentTree} from '../engine/device.js';
import type {GenerateRequest, Generator, Trajectories} from '../rollout/generate.js';

/**
 * One batch at a time: the device runs one graph at a time anyway, and memory holds one batch. Unsubscribing aborts the one under
 * way at its next step.
 *
 * @param begun told of each batch, so that its end can be waited for where nobody listens any more.
 */
export const rollout = (
  generate: Generator,
  policy: ResidentTree,
  begun: (work: Promise<unknown>) => void = () => undefined,
): OperatorFunction<GenerateRequest, Trajectories> =>
  concatMap((request) =>
    defer(() => {
      const stop = new AbortController();
      const work = generate(policy, request, stop.signal);
      begun(work);
      return from(work).pipe(finalize(() => stop.abort()));
    }),
  );
