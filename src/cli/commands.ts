/** The commands, in the order of a newcomer's first hour. */
import type {Command} from './command.js';

/** Every command of `rlft`. */
export const commands: readonly Command[] = [
  {
    usage: 'run <algorithm>',
    summary: 'Fine-tune a policy: rollouts, rewards, updates, held-out evaluation before and after',
    savesOnInterrupt: true,
    load: () => import('./run.js'),
  },
  {
    usage: 'plan <algorithm>',
    summary: 'Say what such a run would do, need and take, and start nothing',
    load: () => import('./plan.js'),
  },
  {
    usage: 'sample <captions..>',
    summary: 'Draw videos for captions',
    load: () => import('./sample.js'),
  },
  {
    usage: 'export <run>',
    summary: 'Take what a run tuned out of its folder: an adapter, or full weights',
    load: () => import('./export.js'),
  },
  {
    usage: 'pretrain [network]',
    summary: "Train a world's base policy, or its video-text encoder, from nothing",
    savesOnInterrupt: true,
    load: () => import('./pretrain.js'),
  },
  {
    usage: 'fit [what]',
    summary: 'Fit what a reward is made of to frozen encoders: the transport map of the quality reward',
    savesOnInterrupt: true,
    load: () => import('./fit.js'),
  },
  {
    usage: 'study [what]',
    summary: 'Repeat a measurement of the paper where the truth is known: a table, intervals, a verdict',
    load: () => import('./study.js'),
  },
  {
    usage: 'reward <action> [reward]',
    summary: 'List the rewards, or check one: range, speed, gradient, weights',
    load: () => import('./reward.js'),
  },
  {
    usage: 'doctor',
    summary: 'Say what rlft finds on this machine: versions, cores, memory',
    load: () => import('./doctor.js'),
  },
];
