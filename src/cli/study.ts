/** `rlft study`: repeat a measurement of the paper in a world where the truth is known. */
import {ConfigError, UnknownNameError} from '../errors.js';
import {suggestion} from '../nearest.js';
import type {CommandBody} from './command.js';
import {configFlags, otherFlagNames} from './configFlags.js';
import {runFolderFlags} from './runFolderFlags.js';
import {runStudy, type StudyConfig, type Studying} from './studying.js';
import {alignmentStudying} from './studyAlignment.js';
import {attentionStudying} from './studyAttention.js';
import {costsStudying} from './studyCosts.js';
import {gradientsStudying} from './studyGradients.js';
import {matchingStudying} from './studyMatching.js';
import {rankingStudying} from './studyRanking.js';

const studies = {
  matching: matchingStudying,
  alignment: alignmentStudying,
  costs: costsStudying,
  attention: attentionStudying,
  gradients: gradientsStudying,
  ranking: rankingStudying,
};
type StudyName = keyof typeof studies;
const known = Object.keys(studies) as StudyName[];

/** The word that names the study, wherever the flags stand. */
const studyIn = (args: readonly string[]): StudyName => known.find((name) => args.includes(name)) ?? 'matching';

/** The command. */
export const body: CommandBody = {
  positionals: {what: {type: 'string', describe: `What to study: ${known.join(', ')}`}},
  options: (args) => ({
    ...configFlags(studies[studyIn(args)].schema),
    ...runFolderFlags('study-<what>'),
    json: {type: 'boolean', describe: 'Print one JSON object instead of tables'},
  }),
  otherNames: otherFlagNames,
  examples: [
    ['rlft study matching --items 1000', 'does attention refined by transport tell captions apart better?'],
    ['rlft study alignment --steps 1000', "what maps of captions to videos do to the encoder's space"],
    ['rlft study attention', 'pictures of where words look, with transport and without'],
    ['rlft study costs --items 1000', "how much the weights of the cost's terms matter"],
    ['rlft study gradients --batches 50', 'do the two rewards pull a policy the same way?'],
    ['rlft study ranking --compared \'["semantic", "./mine.ts#redness"]\'', 'do rewards rank samples as the judge does?'],
  ],
  async run(argv, io, args) {
    const what = argv['what'] as string | undefined;
    if (what === undefined) throw new ConfigError(`study: wanted what to study, ${known.join(', ')}; got nothing.`);
    if (!Object.hasOwn(studies, what)) throw new UnknownNameError(`unknown study "${what}"${suggestion(what, known)}`);
    await runStudy(what, studies[what as StudyName] as Studying<StudyConfig>, argv, io, args);
  },
};
