/**
 * Whether a pre-trained policy is a base that reinforcement learning can start from: good enough to be told apart, not so good
 * that nothing is left to win. Measured by the judge alone, never by a reward.
 */
import type {ResidentTree} from '../engine/device.js';
import type {Environment, Judge, Judgement, Prompt} from '../environment.js';
import {statistics} from '../numeric/advantages.js';
import type {Generator} from '../rollout/generate.js';
import {noiseless} from '../rollout/noiseless.js';

/** What is measured, and how large it may be. */
export const gates = {
  objectClass: [0.75, 1],
  quality: [0.7, 0.88],
  semantic: [0.45, 0.7],
  strict: [0.1, 0.5],
  /** Share of groups of 8 in which some members keep every promise and some do not, and which differ by .02 overall. */
  mixedGroups: [0.5, 1],
} as const;

/** A gate's name. */
export type Gate = keyof typeof gates;

/** The measurements, and which gates they miss. */
export interface GateReport {
  readonly scores: Readonly<Record<string, number>>;
  readonly missed: readonly Gate[];
}

const GROUP = 8;
const GROUP_PROMPTS = 32;
const BATCH = 32;
const SPREAD = 0.02;
const SEED = 11;

/** What is measured and how. */
export interface GateParts {
  readonly environment: Environment;
  readonly generate: Generator;
  readonly policy: ResidentTree;
  readonly judge: Judge;
  readonly prompts: number;
  readonly steps: number;
}

/** Measures a policy on held-out prompts and, for the mixed groups, on prompts that it would be trained on. */
export async function measureGates({environment, generate, policy, judge, prompts, steps}: GateParts): Promise<GateReport> {
  const judged = async (list: readonly Prompt[], samples: number): Promise<Judgement[]> => {
    const all: Judgement[] = [];
    const perBatch = BATCH / samples;
    for (let first = 0; first < list.length; first += perBatch) {
      const part = list.slice(first, first + perBatch);
      const made = await generate(policy, noiseless({prompts: part, samples, steps, seed: SEED, purpose: 'gates'}));
      all.push(...(await judge.judge(made.videos, made.prompts)));
    }
    return all;
  };
  const single = await judged(environment.prompts('heldOut', prompts), 1);
  const grouped = await judged(environment.prompts('train', GROUP_PROMPTS), GROUP);
  const mixed = Array.from({length: GROUP_PROMPTS}, (_, g) => isMixed(grouped.slice(g * GROUP, (g + 1) * GROUP)));
  const scores = {...judge.aggregate(single), mixedGroups: mixed.filter(Boolean).length / GROUP_PROMPTS};
  const missed = (Object.keys(gates) as Gate[]).filter((gate) => {
    const [low, high] = gates[gate];
    const score = (scores as Record<string, number>)[gate] ?? NaN;
    return !(score >= low && score <= high);
  });
  return {scores, missed};
}

/** Some members keep every promise and some do not, and they differ overall: there is something to compare. */
function isMixed(group: readonly Judgement[]): boolean {
  const spread = statistics(group.map((j) => j['overallConsistency'] ?? 0)).std;
  const kept = group.filter((j) => j['strict'] === 1).length;
  return spread > SPREAD && kept > 0 && kept < group.length;
}
