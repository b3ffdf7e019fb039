/** A reward made of others by an expression. */
import type {Tensor} from '@tensorflow/tfjs-core';
import type {Prompt} from '../environment.js';
import {ConfigError} from '../errors.js';
import {parseExpression, type Expression} from '../expression.js';
import type {DifferentiableReward, Reward, RewardContext, RewardModule} from '../reward.js';
import {scoreOnDevice} from '../rollout/scoreOnDevice.js';
import {checkScores, scoreVideos} from '../rollout/scoreVideos.js';
import type {Branch} from '../tensor/tree.js';
import {evaluateExpression, traceExpression} from './evaluateExpression.js';
import {groupMeans} from './groupNormalise.js';
import {jointForm} from './jointForm.js';
import {partWeights} from './partWeights.js';

/**
 * Composes rewards. Each one that the expression names is opened once; they score at the same time, those that look through an
 * encoder in one graph; and the composed reward is differentiable if all of them are.
 *
 * @param text such as `0.7*quality + 0.3*clip(judge, 0, 1)`; docs/rewards.md tells what can be in it. It is the reward's name too.
 * @param modules what the names mean; more than the expression uses are allowed.
 * @throws ConfigError naming the column of what is not allowed in an expression, before anything is opened.
 * @example composeReward('0.5*redness + judge', [redness, judge])
 */
export function composeReward(text: string, modules: readonly RewardModule[]): RewardModule {
  const byName = new Map(modules.map((module) => [module.name, module]));
  const expression = parseExpression(text, [...byName.keys()]);
  const used = expression.names.map((name) => byName.get(name)!);
  return {
    name: text,
    unit: '1',
    summary: used.map(({name, summary}) => `${name}: ${summary}`).join('; '),
    open: async (context) => composed(expression, await openAll(used, context), context),
  };
}

/** Opens all of them, or none. */
async function openAll(modules: readonly RewardModule[], context: RewardContext): Promise<Reward[]> {
  const outcomes = await Promise.allSettled(modules.map((module) => module.open(context)));
  const opened = outcomes.flatMap((o) => (o.status === 'fulfilled' ? [o.value] : []));
  const failed = outcomes.find((o) => o.status === 'rejected');
  if (!failed) return opened;
  await closeAll(opened);
  throw failed.reason;
}

const closeAll = async (rewards: readonly Reward[]): Promise<void> => {
  await Promise.all(rewards.map(async (reward) => reward.close?.()));
};

function composed(expression: Expression, parts: readonly Reward[], context: RewardContext): Reward {
  const forms = parts.flatMap(({differentiable}, i) => (differentiable ? [[expression.names[i], differentiable] as const] : []));
  const seeing = Object.fromEntries(forms.filter(([, {through}]) => through));
  const together = Object.keys(seeing).length > 0 ? scoreOnDevice(context.device, expression.text, jointForm(seeing)) : undefined;
  const scoreParts: Reward['scoreParts'] = async (videos, prompts) => {
    const seen = together?.scores(videos, prompts);
    const scoresOf = async (part: Reward, name: string): Promise<Float32Array> => {
      if (!(name in seeing)) return scoreVideos(part, videos, prompts);
      const {[name]: scores} = (await seen)!;
      checkScores(name, scores, prompts);
      return scores;
    };
    const each = await Promise.all(parts.map((part, i) => scoresOf(part, expression.names[i])));
    const byName = Object.fromEntries(expression.names.map((name, i) => [name, each[i]]));
    const groups = prompts.map((prompt) => prompt.id);
    return {scores: evaluateExpression(expression, byName, groups), parts: byName};
  };
  const differentiable = forms.length < parts.length ? undefined : differentiableForm(expression, Object.fromEntries(forms));
  const weights = partWeights(expression);
  return {
    name: expression.text,
    unit: '1',
    parts,
    relative: expression.relative,
    score: async (videos, prompts) => (await scoreParts(videos, prompts)).scores,
    scoreParts,
    ...(differentiable && {differentiable}),
    ...(weights && {weights}),
    close: async () => {
      await Promise.all([together?.close(), closeAll(parts)]);
    },
  };
}

/** The expression over the differentiable forms of its parts. */
function differentiableForm(expression: Expression, forms: Readonly<Record<string, DifferentiableReward>>): DifferentiableReward {
  const joint = jointForm(forms);
  // The gradient takes a group's mean and deviation as constant, and whatever the parts do.
  const held = new Set([
    ...Object.values(forms).flatMap(({heldConstant}) => (heldConstant === undefined ? [] : [heldConstant])),
    ...(expression.relative ? ['the mean and deviation of each group'] : []),
  ]);
  return {
    ...(held.size > 0 && {heldConstant: [...held].join(' and ')}),
    params: joint.params,
    encode: (prompts) => ({
      parts: joint.encode(prompts),
      ...(expression.relative && {means: groupMeans(groupsOf(prompts))}),
    }),
    score: (params, video, prompts) =>
      traceExpression(
        expression,
        joint.scores(params, video, prompts['parts'] as Branch<Tensor>),
        prompts['means'] as Tensor | undefined,
      ),
  };
}

/**
 * The groups of a batch whose gradient is wanted.
 *
 * @throws ConfigError if each is a group of one: its normalised score is 0 and so is its gradient.
 */
function groupsOf(prompts: readonly Prompt[]): string[] {
  const groups = prompts.map((prompt) => prompt.id);
  if (new Set(groups).size < groups.length) return groups;
  throw new ConfigError(
    `groupNormalise: wanted several samples of a prompt in a batch, to compare them; got one of each; leave groupNormalise out, or raise samplesPerPrompt.`,
  );
}
