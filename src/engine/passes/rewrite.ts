/** Rebuilding a traced graph node by node: the way in which every pass over whole graphs works. */
import {Graph, type Node, type Value} from '../graph.js';

/** A graph and the values that are wanted of it. */
export interface Program {
  readonly graph: Graph;
  readonly outputs: readonly Value[];
}

/**
 * What a pass says about one node: the values that take the place of the node's outputs, made in the new graph, or undefined to
 * leave it as it is. `inputs` are the node's inputs in the new graph.
 */
export type Rule = (graph: Graph, node: Node, inputs: readonly (Value | undefined)[]) => readonly Value[] | undefined;

/** Applies a rule to every node, in order, and drops what is unused afterwards. The program that is given stays as it is. */
export function rewrite({graph: from, outputs}: Program, rule: Rule): Program {
  const to = new Graph();
  const moved = new Map<Value, Value>(from.inputs.map((v) => [v, to.input(v)]));
  const move = (v: Value): Value => {
    const known = moved.get(v);
    if (known) return known;
    // What is no node's output and no input is a constant.
    const made = v.uniform !== undefined ? to.fill(v.uniform, v.shape, v.dtype) : to.constant(v.data!, v.shape, v.dtype);
    moved.set(v, made);
    return made;
  };
  for (const node of from.nodes) {
    const inputs = node.inputs.map((v) => v && move(v));
    const made =
      rule(to, node, inputs) ??
      (node.outputs.length === 1
        ? [to.op(node.op, inputs, node.outputs[0], node.attributes, node.domain)]
        : to.ops(node.op, inputs, node.outputs, node.attributes, node.domain));
    node.outputs.forEach((v, i) => moved.set(v, made[i]));
  }
  const kept = outputs.map(move);
  to.prune(kept);
  return {graph: to, outputs: kept};
}
