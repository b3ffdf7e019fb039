/** A study in words: its tables, what it says of each claim, and the answer to its question. */
import type {Cell, Study, StudyTable} from '../study/study.js';

const number = (x: number): string => {
  if (Number.isInteger(x) && Math.abs(x) < 1e6) return String(x);
  const size = Math.abs(x);
  return size !== 0 && (size < 1e-3 || size >= 1e4) ? x.toExponential(2) : x.toFixed(4);
};

/** `0.8125 [0.8040, 0.8210]` for a number with its interval; a dash for nothing. */
export function cellText(cell: Cell): string {
  if (cell === null) return '-';
  if (typeof cell === 'string') return cell;
  if (typeof cell === 'number') return number(cell);
  return `${number(cell.mean)} [${number(cell.low)}, ${number(cell.high)}]`;
}

/** A table as lines, columns as wide as what stands in them. */
export function tableLines({title, rows}: StudyTable): string[] {
  const columns = Object.keys(rows[0] ?? {});
  const cells = [columns, ...rows.map((row) => columns.map((column) => cellText(row[column])))];
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => row[i].length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => cell.padEnd(widths[i]))
      .join('  ')
      .trimEnd();
  return ['', title, '', ...cells.map((row) => `  ${line(row)}`)];
}

/** The whole study. */
export function studyLines({source, tables, claims, verdict}: Study): string[] {
  const table: StudyTable = {
    title: 'claims: confirmed if the whole interval lies above the threshold, refuted if it lies below, undecided otherwise',
    rows: claims.map(({name, measured, threshold, paper, verdict: answer}) => ({
      claim: name,
      measured,
      threshold,
      paper,
      verdict: answer,
    })),
  };
  return [source, ...tables.flatMap(tableLines), ...tableLines(table), '', `${verdict.question} ${verdict.answer}`];
}
