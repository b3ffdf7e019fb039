/**
 * The tables of settings in docs/, made from the schemas, so that a default stands in one place only.
 *
 *   npm run docs:tables
 *
 * rewrites them; test/docs/tables.test.ts fails where that was forgotten. A last column `source` is written by hand and kept.
 */
import {readFileSync, writeFileSync} from 'node:fs';
import {pathToFileURL} from 'node:url';
import {algorithms} from '../src/builtins.js';
import {peerNames} from '../src/options.js';
import {describeKeys, type KeyDescription} from '../src/run/configKeys.js';
import {tuneSchema} from '../src/tune/schema.js';

/** One generated table: it lies between `<!-- table: name -->` and `<!-- /table -->`. */
export interface DocTable {
  readonly file: string;
  readonly name: string;
  readonly heading: readonly [key: string, ...string[]];
  /** Cells of each row; those of a last column `source` are missing. */
  readonly rows: readonly (readonly [key: string, ...string[]])[];
}

const ddpo = algorithms.get('ddpo');
const own = new Set(Object.keys(ddpo.options.shape));

const shown = ({default: value, choices}: KeyDescription): string => {
  const text = value === undefined ? '' : `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
  const others = (choices ?? []).filter((choice) => choice !== value);
  return others.length === 0 ? text : `${text} (or ${others.map((choice) => `\`${choice}\``).join(', ')})`;
};

/** A default that no schema holds: `minutes` stands for "neither minutes nor iterations was given". */
const withMinutes = (key: KeyDescription): KeyDescription =>
  key.path === 'minutes' && ddpo.defaults.minutes !== undefined ? {...key, default: ddpo.defaults.minutes} : key;

const rowOf = (key: KeyDescription): [string, string, string] => [`\`${key.path}\``, shown(withMinutes(key)), key.description];

const otherNames = ({path}: KeyDescription): string =>
  Object.entries(peerNames)
    .flatMap(([theirs, ours]) => (ours === path ? [`\`${theirs}\``] : []))
    .join(', ');

/** Every generated table. */
export const docTables: readonly DocTable[] = [
  ...algorithms.names.map((name): DocTable => ({
    file: `docs/algorithms/${name}.md`,
    name: 'options',
    heading: ['option', 'default', 'meaning; unit or range', 'source'],
    rows: describeKeys(algorithms.get(name).options).map(rowOf),
  })),
  {
    file: 'docs/settings.md',
    name: 'settings',
    heading: ['setting', 'default in `rlft run ddpo`', 'meaning; unit or range', 'elsewhere called'],
    rows: describeKeys(tuneSchema(ddpo))
      .filter(({path}) => !own.has(path))
      .map((key) => [...rowOf(key), otherNames(key)]),
  },
];

/** Where a table's text begins and ends in its document. */
function placeOf(text: string, {file, name}: DocTable): {from: number; to: number} {
  const open = `<!-- table: ${name} -->`;
  const close = '<!-- /table -->';
  const at = text.indexOf(open);
  const to = text.indexOf(close, at);
  if (at < 0 || to < 0) throw new Error(`${file}: wanted "${open}" and "${close}" behind it.`);
  return {from: at + open.length, to};
}

/** The table that stands in a document. */
export function tableIn(text: string, table: DocTable): string {
  const {from, to} = placeOf(text, table);
  return text.slice(from, to).trim();
}

/** Cells of a Markdown table's rows, without its heading; `\|` is not an end of a cell. */
export const cellsOf = (table: string): string[][] =>
  table
    .split('\n')
    .slice(2)
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );

/** The table as it ought to be, with the hand-written cells that `present` has. */
export function render({heading, rows}: DocTable, present: string): string {
  const byHand = new Map(cellsOf(present).map((cells) => [cells[0], cells[cells.length - 1]]));
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replace(/\|/g, '\\|')).join(' | ')} |`;
  const whole = (row: readonly string[]): readonly string[] =>
    row.length < heading.length ? [...row, byHand.get(row[0]) ?? ''] : row;
  return [line(heading), line(heading.map(() => '---')), ...rows.map((row) => line(whole(row)))].join('\n');
}

/** A document with one of its tables renewed. */
export function renewed(text: string, table: DocTable): string {
  const {from, to} = placeOf(text, table);
  return `${text.slice(0, from)}\n${render(table, tableIn(text, table))}\n${text.slice(to)}`;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const table of docTables) writeFileSync(table.file, renewed(readFileSync(table.file, 'utf8'), table));
}
