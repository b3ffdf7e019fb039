/** What every study yields: tables with intervals, claims with verdicts, pictures. Printing and writing are the same for all. */
import {join} from 'node:path';
import type {Interval} from '../evaluate/bootstrap.js';
import type {Picture} from '../report/pictures.js';
import {writeAtomically} from '../run/writeAtomically.js';
import type {Claim, Verdict} from './verdict.js';

/** A number, a number with its interval, a word; null where there is nothing to say. */
export type Cell = number | Interval | string | null;

/** A table; the keys of a row are its columns, the same in each. */
export interface StudyTable {
  readonly title: string;
  readonly rows: readonly Readonly<Record<string, Cell>>[];
}

/** A finished study. */
export interface Study {
  readonly name: string;
  /** The part of the paper that it repeats. */
  readonly source: string;
  readonly tables: readonly StudyTable[];
  readonly claims: readonly Claim[];
  /** The study's central question, and how it came out. */
  readonly verdict: {readonly question: string; readonly answer: Verdict};
  /** By file name. */
  readonly pictures: Readonly<Record<string, Picture>>;
}

/** What a study tells while it goes. */
export interface StudyProgress {
  /** What is being done, such as `scoring`. */
  readonly stage: string;
  readonly done: number;
  readonly total: number;
}

/** Stands for numbers that are not finite in a file of JSON, which has none. */
const finiteOnly = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isFinite(value) ? null : value;

/** A study as JSON; numbers that are not finite are null. */
export const studyJson = ({pictures, ...study}: Study): string =>
  `${JSON.stringify({...study, pictures: Object.keys(pictures)}, finiteOnly, 2)}\n`;

/** Writes `study.json` and the pictures. */
export async function writeStudy(folder: string, study: Study): Promise<void> {
  for (const [name, {bytes}] of Object.entries(study.pictures)) await writeAtomically(join(folder, name), [bytes]);
  await writeAtomically(join(folder, 'study.json'), [studyJson(study)]);
}
