/** Order that no data say: `autograd/recompute.ts` says what for. */
import {AFTER} from '../../autograd/recompute.js';
import {cast, compare, op1, op2, reshape, slice, type Lowerings} from './lowering.js';

/** x − 0, where the zero is made of an element of the token: |e| < 0 never holds, of NaN neither. x − 0 is x, of −0 too. */
export const ordering: Lowerings = {
  [AFTER]: (graph, {x, token}) => {
    const element = reshape(graph, slice(graph, reshape(graph, token, [-1]), [0], [0], [1]), []);
    const never = compare(graph, 'Less', op1(graph, 'Abs', element), graph.scalar(0));
    return op2(graph, 'Sub', x, cast(graph, never, 'float32'));
  },
};
