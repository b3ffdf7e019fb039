/** Learning, and beside it the rollouts of the next iteration. */
import {forkJoin, materialize, take, type Observable, type ObservableNotification, type OperatorFunction} from 'rxjs';

/**
 * Emits once, when both are done: the last state that was learnt, and what became of what was made ahead: its first value, its error,
 * or that it ended without any. An error ahead is held back in this way, since the state that was learnt meanwhile is good; an error
 * of learning passes at once, and what is made ahead is let go.
 *
 * @source Noukhovitch et al. 2024, "Asynchronous RLHF", arXiv:2410.18252: one step off-policy.
 */
export const overlap =
  <S, T>(ahead$: Observable<T>): OperatorFunction<S, [learnt: S, ahead: ObservableNotification<T>]> =>
  (learnt$) =>
    forkJoin([learnt$, ahead$.pipe(materialize(), take(1))]);
