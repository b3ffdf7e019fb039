/** The passes over a traced graph, in their order. */
import type {Graph, Value} from '../graph.js';
import type {SessionSettings} from '../protocol.js';
import {fewBuffers} from './fewBuffers.js';
import {hoistReshapes} from './hoistReshapes.js';
import type {Program} from './rewrite.js';
import {scaledSums} from './scaledSums.js';
import {spreadConvolutions} from './spreadConvolutions.js';
import {transposeOnce} from './transposeOnce.js';

/** Rewrites a traced graph into one that computes the same faster on a provider. */
export function optimise(graph: Graph, outputs: readonly Value[], provider: SessionSettings['provider']): Program {
  const flat = hoistReshapes({graph, outputs});
  // How operands are best laid out is a matter of the kernels; this was measured with those of the CPU.
  if (provider === 'cpu') return hoistReshapes(scaledSums(transposeOnce(flat)));
  return provider === 'webgpu' ? fewBuffers(spreadConvolutions(flat)) : flat;
}
