/**
 * Whether attention refined by transport tells true captions from wrong ones better than the encoder's own: the paper's table 7,
 * where the truth is known and the wrong captions are of known kinds.
 *
 * @source PISCES, arXiv:2602.01624, table 7.
 */
import {intervalOf, resample, type Interval, type Resampled} from '../evaluate/bootstrap.js';
import {lineChart} from '../report/lineChart.js';
import type {RefineOptions} from '../transport/refineAttention.js';
import {armName, BEST_MASS, masses, refinedArm, VANILLA, type Constraint, type PartialSolver} from './attentionSettings.js';
import {itemAccuracy, itemAuc, itemRanking, type ItemScores} from './itemStatistics.js';
import {scoreArms, type MatchingArm, type ScoredItems, type ScoringRequest} from './scoreArms.js';
import type {Study, StudyTable} from './study.js';
import {allOf, claim, ruleOfThree, type Claim} from './verdict.js';

/** What to compare and how. */
export interface MatchingStudyRequest extends Omit<ScoringRequest, 'arms'> {
  /** Solvers of plans that move less than all, the central one first. */
  readonly solvers: readonly PartialSolver[];
  /** ε of all plans. */
  readonly epsilon: number;
  /** The smallest difference that counts: what the paper's claims are tested against. */
  readonly margin: number;
  readonly seed: number;
  /** Draws of the bootstrap. */
  readonly draws: number;
}

/** The arms of the study. */
export function matchingArms(solvers: readonly PartialSolver[], epsilon: number): readonly MatchingArm[] {
  const arm = (solver: NonNullable<RefineOptions['solver']>, mass: number, constraint: Constraint): MatchingArm =>
    refinedArm(solver, mass, constraint, epsilon);
  return [
    {name: VANILLA, refine: undefined},
    arm('balanced', 1, 'none'),
    arm('balanced', 1, 'both'),
    ...solvers.flatMap((solver) => [
      ...masses.map((mass) => arm(solver, mass, 'none')),
      ...(['space', 'time', 'both', 'both .1'] as const).map((constraint) => arm(solver, BEST_MASS, constraint)),
    ]),
  ];
}

/** What the paper measured with each kind of attention, in percent of right verdicts. */
const paperAccuracy: Readonly<Record<string, string>> = {
  [VANILLA]: '81.25',
  [armName('balanced', 1, 'none')]: '86.87',
  [armName('unbalanced', 0.5, 'none')]: '78.92',
  [armName('unbalanced', 0.9, 'none')]: '87.54',
  [armName('unbalanced', 0.9, 'space')]: '88.17',
  [armName('unbalanced', 0.9, 'time')]: '87.98',
  [armName('unbalanced', 0.9, 'both')]: '89.36',
  [armName('unbalanced', 0.9, 'both .1')]: '87.06',
};

/** How arms are measured. */
const measures = {accuracy: itemAccuracy, auc: itemAuc, ranked: itemRanking};
/** One of the measures. */
export type MatchingMeasure = keyof typeof measures;

/** The statistics of some arms on some items, resampled together. */
export interface ArmStatistics {
  /** How many items they are of. */
  readonly items: number;
  readonly of: (arm: string, measure: MatchingMeasure) => Interval;
  /** Of a function of the arms' statistics. */
  readonly combined: (measure: MatchingMeasure, value: (of: (arm: string) => number) => number) => Interval;
}

/** Resamples all arms with the same draws, each measure when it is first asked for. */
export function armStatistics(
  arms: Readonly<Record<string, ItemScores>>,
  items: ArrayLike<number>,
  seed: number,
  draws: number,
): ArmStatistics {
  const names = Object.keys(arms);
  const some = ({yes, no}: ItemScores): ItemScores => ({
    yes: Float32Array.from(items, (i) => yes[i]),
    no: Float32Array.from(items, (i) => no[i]),
  });
  const own = names.map((name) => some(arms[name]));
  const found: Partial<Record<MatchingMeasure, Resampled>> = {};
  const resampled = (measure: MatchingMeasure): Resampled => {
    const make = (): Resampled => {
      const statistics = own.map(measures[measure]);
      return resample(items.length, (indices) => statistics.map((of) => of(indices)), seed, draws);
    };
    return (found[measure] ??= make());
  };
  const at = new Map(names.map((name, i) => [name, i]));
  const combined: ArmStatistics['combined'] = (measure, value) =>
    intervalOf(resampled(measure), (all) => value((arm) => all[at.get(arm)!]));
  return {items: items.length, of: (arm, measure) => combined(measure, (of) => of(arm)), combined};
}

/** The claims of the paper about one solver by one measure. */
export function matchingClaims(
  {combined, items}: ArmStatistics,
  solver: PartialSolver,
  measure: 'accuracy' | 'auc',
  margin: number,
): readonly Claim[] {
  const [plain, best] = [armName(solver, BEST_MASS, 'none'), armName(solver, BEST_MASS, 'both')];
  const full = armName('balanced', 1, 'none');
  const least = armName(solver, masses[0], 'none');
  const near = (mass: number): boolean => Math.abs(mass - BEST_MASS) < 0.11;
  const largest = (of: (arm: string) => number, arms: readonly string[]): number => Math.max(...arms.map(of));
  const withMass = (chosen: (mass: number) => boolean): string[] =>
    masses.filter(chosen).map((mass) => armName(solver, mass, 'none'));
  const made = (name: string, says: string, paper: string, value: (of: (arm: string) => number) => number): Claim =>
    claim({
      name: `${solver}: ${name} (${measure})`,
      says,
      paper: measure === 'accuracy' ? `${paper} points` : '',
      measured: ruleOfThree(combined(measure, value), items),
      threshold: margin,
    });
  return [
    made('transport helps', `${best} is above ${VANILLA}`, '+8.11', (of) => of(best) - of(VANILLA)),
    made('moving less helps', `${plain} is above ${full}`, '+0.67', (of) => of(plain) - of(full)),
    made('too little hurts', `${least} is below ${VANILLA}`, '+2.33', (of) => of(VANILLA) - of(least)),
    made('constraints help', `${best} is above ${plain}`, '+1.82', (of) => of(best) - of(plain)),
    made(
      'best near .9',
      'the best of masses .8 to .95 is above the best of .5 to .7 and 1',
      'at least +0.67',
      (of) => largest(of, withMass(near)) - largest(of, [...withMass((mass) => !near(mass)), full]),
    ),
  ];
}

/** The table of all arms. */
function armTable(names: readonly string[], {of, combined}: ArmStatistics): StudyTable {
  return {
    title: 'kinds of attention: accuracy at logit 0, area under the curve, and their differences to vanilla',
    rows: names.map((arm) => ({
      attention: arm,
      accuracy: of(arm, 'accuracy'),
      'over vanilla': combined('accuracy', (value) => value(arm) - value(VANILLA)),
      AUC: of(arm, 'auc'),
      'AUC over vanilla': combined('auc', (value) => value(arm) - value(VANILLA)),
      ranked: of(arm, 'ranked').mean,
      'paper, %': paperAccuracy[arm] ?? null,
    })),
  };
}

/** The table by what is wrong with the wrong caption: constraints of time ought to help motions, those of place relations. */
function kindTable({kinds, arms}: ScoredItems, solvers: readonly PartialSolver[], seed: number, draws: number): StudyTable {
  const shown = [
    armName('balanced', 1, 'none'),
    ...(['none', 'space', 'time', 'both'] as const).map((constraint) => armName(solvers[0], BEST_MASS, constraint)),
    ...solvers.slice(1).map((solver) => armName(solver, BEST_MASS, 'both')),
  ];
  const chosen = Object.fromEntries([VANILLA, ...shown].map((name) => [name, arms[name]]));
  return {
    title: 'by kind of wrong caption: area under the curve of vanilla attention, and what others add',
    rows: [...new Set(kinds)].map((kind) => {
      const items = kinds.flatMap((k, i) => (k === kind ? [i] : []));
      const {of, combined} = armStatistics(chosen, items, seed, draws);
      return {
        kind,
        items: items.length,
        vanilla: of(VANILLA, 'auc'),
        ...Object.fromEntries(shown.map((arm) => [arm, combined('auc', (value) => value(arm) - value(VANILLA))])),
      };
    }),
  };
}

/** Runs the study. */
export async function matchingStudy(request: MatchingStudyRequest): Promise<Study> {
  const {solvers, epsilon, margin, seed, draws, report} = request;
  const arms = matchingArms(solvers, epsilon);
  const scored = await scoreArms({...request, arms});
  report({stage: 'resampling', done: 0, total: draws});
  const names = arms.map(({name}) => name);
  const statistics = armStatistics(
    scored.arms,
    scored.kinds.map((_, i) => i),
    seed,
    draws,
  );
  const claims = solvers.flatMap((solver) =>
    (['accuracy', 'auc'] as const).flatMap((measure) => matchingClaims(statistics, solver, measure, margin)),
  );
  const central = matchingClaims(statistics, solvers[0], 'accuracy', margin);
  const massLine = (solver: PartialSolver) => ({
    name: solver,
    points: [...masses, 1].map((mass) => ({
      x: mass,
      y: statistics.combined(
        'auc',
        (of) => of(mass === 1 ? armName('balanced', 1, 'none') : armName(solver, mass, 'none')) - of(VANILLA),
      ),
    })),
  });
  return {
    name: 'matching',
    source: 'PISCES, table 7',
    tables: [armTable(names, statistics), kindTable(scored, solvers, seed, draws)],
    claims,
    verdict: {
      question: `does transport of partial mass (${solvers[0]}) improve matching accuracy as the paper says?`,
      answer: allOf(central.map(({verdict}) => verdict)),
    },
    pictures: {
      'masses.png': await lineChart({
        title: 'area under the curve less that of vanilla, no constraints',
        xLabel: 'mass',
        yLabel: 'AUC over vanilla',
        lines: [...solvers.map(massLine), {name: VANILLA, points: [masses[0], 1].map((x) => ({x, y: 0}))}],
      }),
    },
  };
}
