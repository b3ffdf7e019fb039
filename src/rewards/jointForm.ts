/**
 * Several differentiable rewards in one graph. Those that look through the same encoder share its weights, and each video and
 * caption is encoded once for all of them, forward and backward.
 */
import type {Tensor} from '@tensorflow/tfjs-core';
import type {FrozenEncoder} from '../encoder.js';
import type {Prompt} from '../environment.js';
import type {DifferentiableReward} from '../reward.js';
import type {Branch, Params} from '../tensor/tree.js';
import type {EncoderView} from './encoderView.js';

/** As `DifferentiableReward`, with a score for each of several names. */
export interface JointForm {
  readonly params: Params;
  /** What the function needs to know about the prompts, as arrays. */
  encode(prompts: readonly Prompt[]): Params;
  /** `video [B, F, H, W, C]` in [-1, 1] → `[B]` of each name. */
  scores(params: Branch<Tensor>, video: Tensor, prompts: Branch<Tensor>): Record<string, Tensor>;
}

type Named<T> = Readonly<Record<string, T>>;

const mapValues = <T, U>(named: Named<T>, of: (value: T, name: string) => U): Record<string, U> =>
  Object.fromEntries(Object.entries(named).map(([name, value]) => [name, of(value, name)]));

/** Scores of what one encoder sees. */
export function viewForm({encoder, params: weights}: FrozenEncoder, views: Named<EncoderView>): JointForm {
  return {
    params: {encoder: weights, own: mapValues(views, (view) => view.params)},
    encode: (prompts) => ({tokens: encoder.tokenize(prompts.map((prompt) => prompt.text))}),
    scores(given, videos, prompts) {
      const params = given['encoder'] as Branch<Tensor>;
      const own = given['own'] as Branch<Tensor>;
      const text = encoder.encodeText(params, prompts['tokens'] as Tensor);
      const seen = {encoder, params, text, video: encoder.encodeVideo(params, videos)};
      return mapValues(views, (view, name) => view.scoreOf(own[name] as Branch<Tensor>, seen));
    },
  };
}

const alone = (name: string, form: DifferentiableReward): JointForm => ({
  params: form.params,
  encode: (prompts) => form.encode(prompts),
  scores: (params, video, prompts) => ({[name]: form.score(params, video, prompts)}),
});

/** Forms by name. Which of them look through the same encoder is told by its weights: they are the same arrays. */
export function jointForm(forms: Named<DifferentiableReward>): JointForm {
  const entries = Object.entries(forms);
  const views = entries.flatMap(([name, {through}]) => (through ? [[name, through] as const] : []));
  const encoders = new Map(views.map(([, {frozen}]) => [frozen.params, frozen]));
  const viewsThrough = ({params}: FrozenEncoder): Named<EncoderView> =>
    Object.fromEntries(views.filter(([, {frozen}]) => frozen.params === params));
  const groups: readonly JointForm[] = [
    ...Array.from(encoders.values(), (frozen) => viewForm(frozen, viewsThrough(frozen))),
    ...entries.flatMap(([name, form]) => (form.through ? [] : [alone(name, form)])),
  ];
  const byNumber = <T>(of: (group: JointForm) => T): Record<number, T> => Object.fromEntries(groups.map((g, i) => [i, of(g)]));
  return {
    params: byNumber((group) => group.params),
    encode: (prompts) => byNumber((group) => group.encode(prompts)),
    scores: (params, video, prompts) =>
      Object.fromEntries(
        groups.flatMap((group, i) =>
          Object.entries(group.scores(params[i] as Branch<Tensor>, video, prompts[i] as Branch<Tensor>)),
        ),
      ),
  };
}
