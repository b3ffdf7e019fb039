/**
 * `metrics.jsonl`: one JSON object per iteration, the record of a run. Pictures and TensorBoard files are views of it.
 *
 * A row is appended after its iteration and before the checkpoint of it. A resumed run first cuts the file back to the rows of
 * its checkpoint, so every iteration stands in it exactly once, in order.
 */
import {open, readFile, truncate} from 'node:fs/promises';
import {CorruptFileError} from '../errors.js';
import {fileError} from './writeAtomically.js';

/** Numbers of one iteration by name, such as `reward/mean`. What is not finite is written as null. */
export type Metrics = Readonly<Record<string, number>>;

/** A row as it is read back. */
export type MetricsRow = {readonly iteration: number} & Readonly<Record<string, number | null>>;

/** The open end of a metrics file. */
export interface MetricsFile {
  /** Appends the row of an iteration (the first is 1), in one write. */
  append(iteration: number, metrics: Metrics): Promise<void>;
  /** Makes everything appended so far survive a power cut; to be called before a checkpoint is written. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a metrics file for appending.
 *
 * @param completed iterations of the checkpoint that the run goes on from; 0 for a new run. Later rows are cut off.
 * @throws RlftError if it cannot be opened; CorruptFileError if rows up to `completed` are missing or unreadable.
 */
export async function openMetrics(path: string, completed: number): Promise<MetricsFile> {
  await cutBack(path, completed);
  const file = await open(path, 'a').catch((cause: unknown) => Promise.reject(fileError('write', path, cause)));
  const guarded = async (work: Promise<unknown>): Promise<void> => {
    await work.catch((cause: unknown) => Promise.reject(fileError('write', path, cause)));
  };
  return {
    append: (iteration, metrics) => guarded(file.appendFile(`${JSON.stringify({iteration, ...metrics})}\n`)),
    sync: () => guarded(file.sync()),
    close: () => file.close(),
  };
}

async function cutBack(path: string, completed: number): Promise<void> {
  const text = await readIfThere(path);
  let kept = 0;
  let iteration = 0;
  for (const line of text.split(/(?<=\n)/)) {
    if (iteration === completed || line === '') break;
    iteration++;
    const row = parseRow(line);
    if (row?.iteration !== iteration) {
      throw new CorruptFileError(
        `${path}:${iteration}: wanted the row of iteration ${iteration}; got ${line.slice(0, 60).trim() || 'nothing'}.`,
      );
    }
    kept += Buffer.byteLength(line);
  }
  if (iteration < completed) {
    throw new CorruptFileError(
      `${path}: wanted the rows of ${completed} iterations; got ${iteration}. Resume from an earlier checkpoint.`,
    );
  }
  if (kept < Buffer.byteLength(text))
    await truncate(path, kept).catch((cause: unknown) => Promise.reject(fileError('write', path, cause)));
}

async function readIfThere(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) =>
    cause.code === 'ENOENT' ? '' : Promise.reject(fileError('read', path, cause)),
  );
}

/** A whole row, or undefined if the line is torn or something else. */
function parseRow(line: string): MetricsRow | undefined {
  if (!line.endsWith('\n')) return undefined;
  try {
    const row = JSON.parse(line) as MetricsRow;
    return Number.isSafeInteger(row.iteration) ? row : undefined;
  } catch {
    return undefined;
  }
}

/**
 * All whole rows of a metrics file, in order; a torn last line is left out.
 *
 * @throws RlftError if it cannot be read; CorruptFileError naming the line that is not a row.
 */
export async function readMetrics(path: string): Promise<MetricsRow[]> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => Promise.reject(fileError('read', path, cause)));
  const lines = text.split(/(?<=\n)/).filter((line) => line.endsWith('\n'));
  return lines.map((line, i) => {
    const row = parseRow(line);
    if (row === undefined) throw new CorruptFileError(`${path}:${i + 1}: not a row of metrics: ${line.slice(0, 60).trim()}.`);
    return row;
  });
}
