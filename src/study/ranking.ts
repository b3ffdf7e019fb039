/**
 * Whether rewards rank a policy's samples as the judge does: what an algorithm that compares samples of a prompt is told by a
 * reward, before any policy is tuned with it.
 */
import type {Device} from '../engine/device.js';
import type {Environment} from '../environment.js';
import {intervalOf, type Interval} from '../evaluate/bootstrap.js';
import type {Reward} from '../reward.js';
import {scoreVideos} from '../rollout/scoreVideos.js';
import {forEachJudged, judgedBy, judgedSamples, rankAgreement, type JudgedBy, type SamplesPlan} from './rankSamples.js';
import type {Study, StudyProgress} from './study.js';
import {allOf, claim, type Claim} from './verdict.js';

/** What to measure. */
export interface RankingStudyRequest {
  readonly environment: Environment;
  readonly device: Device;
  readonly samples: SamplesPlan;
  /** By the name that the tables have. */
  readonly rewards: ReadonlyMap<string, Reward>;
  /** Two of the names, the first of which is to rank better. */
  readonly rivals?: readonly [string, string];
  /** What Kendall's τ with the judge's total has to be above. */
  readonly threshold: number;
  /** Smallest difference of the rivals that counts. */
  readonly margin: number;
  readonly seed: number;
  /** Draws of the bootstrap over prompts. */
  readonly draws: number;
  readonly report: (progress: StudyProgress) => void;
}

/** Runs the study. @throws as `scoreVideos`. */
export async function rankingStudy(request: RankingStudyRequest): Promise<Study> {
  const {environment, device, samples: plan, rewards, rivals, threshold, margin, seed, draws, report} = request;
  const names = [...rewards.keys()];
  const found = names.map((): number[] => []);
  const judged = forEachJudged((): number[] => []);
  for await (const {videos, prompts, scores} of judgedSamples(environment, device, plan, report)) {
    for (const by of judgedBy) judged[by].push(...scores[by]);
    for (const [i, name] of names.entries()) found[i].push(...(await scoreVideos(rewards.get(name)!, videos, prompts)));
  }
  const agreement = forEachJudged((by) => rankAgreement(found, judged[by], plan.samples, seed, draws));
  const tau = (by: JudgedBy, i: number): Interval => intervalOf(agreement[by], (all) => all[i]);
  const ranks = names.map((name, i) =>
    claim({
      name,
      says: `${name} ranks samples of a prompt like the judge: Kendall's τ with its total is above ${threshold}`,
      paper: '',
      measured: tau('total', i),
      threshold,
    }),
  );
  return {
    name: 'ranking',
    source: `how rewards rank ${plan.samples} samples of each of ${plan.prompts} held-out prompts`,
    tables: [
      {
        title: "Kendall's τ with the judge within the samples of a prompt, the mean over prompts",
        rows: names.map((reward, i) => ({
          reward,
          ...Object.fromEntries(judgedBy.map((by) => [`τ ${by}`, tau(by, i)])),
        })),
      },
    ],
    claims: [
      ...ranks,
      ...rivalry(rivals, (a, b) => intervalOf(agreement.total, (all) => all[names.indexOf(a)] - all[names.indexOf(b)]), margin),
    ],
    verdict: {question: 'does every reward rank as the judge does?', answer: allOf(ranks.map(({verdict}) => verdict))},
    pictures: {},
  };
}

/** The claim that one reward ranks better than another. */
function rivalry(
  rivals: readonly [string, string] | undefined,
  difference: (a: string, b: string) => Interval,
  margin: number,
): readonly Claim[] {
  if (!rivals) return [];
  const [better, worse] = rivals;
  return [
    claim({
      name: `${better} over ${worse}`,
      says: `${better} ranks samples more like the judge's total than ${worse}`,
      paper: '',
      measured: difference(better, worse),
      threshold: margin,
    }),
  ];
}
