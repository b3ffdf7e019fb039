/**
 * What people are said to prefer, as a small network guesses it that was shown pairs: the control that needs annotations, where
 * the other rewards need none. The world's judge stands for the people, and errs at a stated rate.
 */
import {preferenceScore, rewardThrough, type RewardModule} from '../src/plugin.js';

/** Logarithm of a clip's odds against others of its caption, up to a constant of the caption; differentiable in the video. */
export const preference: RewardModule = {
  name: 'preference',
  unit: '1',
  summary: "a Bradley-Terry model of labelled pairs (here the judge's, with mistakes): the control that needs annotations",
  open: async (context) => {
    const [frozen, model] = [await context.encoder(), await context.preferenceModel()];
    return rewardThrough(context.device, 'preference', {
      frozen,
      files: [frozen.file, model.file],
      params: model.params,
      comparesCaptions: false,
      scoreOf: (own, {text, video}) => preferenceScore(own, text.cls, video.cls),
    });
  },
};
