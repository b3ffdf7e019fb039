/** Worker thread that judges clips. */
import {serve, type Judgement} from '../../../src/plugin.js';
import {clipJudge, type JudgeRequest} from './judge.js';

serve<JudgeRequest, readonly Judgement[], string>(clipJudge, () => []);
