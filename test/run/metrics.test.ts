import {expect} from 'chai';
import {appendFileSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {CorruptFileError} from '../../src/errors.js';
import {openMetrics, readMetrics} from '../../src/run/metrics.js';
import {onTinyDisk, rejection, temporaryFolder} from '../support/files.js';

describe('run/metrics', () => {
  const folder = temporaryFolder();
  const path = (): string => join(folder(), 'metrics.jsonl');

  async function through(completed: number, iterations: readonly number[]): Promise<void> {
    const metrics = await openMetrics(path(), completed);
    for (const i of iterations) await metrics.append(i, {'reward/mean': i / 3});
    await metrics.sync();
    await metrics.close();
  }

  it('writes one JSON object per line and reads them back', async () => {
    await through(0, [1, 2]);
    expect(readFileSync(path(), 'utf8')).to.equal(
      '{"iteration":1,"reward/mean":0.3333333333333333}\n{"iteration":2,"reward/mean":0.6666666666666666}\n',
    );
    expect(await readMetrics(path())).to.deep.equal([
      {iteration: 1, 'reward/mean': 1 / 3},
      {iteration: 2, 'reward/mean': 2 / 3},
    ]);
  });

  it('has no gap and no repetition after a resume from an earlier checkpoint', async () => {
    await through(0, [1, 2, 3, 4, 5]);
    const straight = readFileSync(path(), 'utf8');
    await through(3, [4, 5]);
    expect(readFileSync(path(), 'utf8')).to.equal(straight);
  });

  it('cuts off a line that a kill tore', async () => {
    await through(0, [1, 2]);
    const straight = readFileSync(path(), 'utf8');
    appendFileSync(path(), '{"iteration":3,"rew');
    expect(await readMetrics(path())).to.have.length(2);
    await through(2, []);
    expect(readFileSync(path(), 'utf8')).to.equal(straight);
  });

  it('starts anew when nothing was completed', async () => {
    await through(0, [1, 2]);
    await through(0, [1]);
    expect(await readMetrics(path())).to.have.length(1);
  });

  it('refuses to go on where rows are missing, and names the line', async () => {
    await through(0, [1, 2]);
    const short = await rejection(openMetrics(path(), 4));
    expect(short).to.be.instanceOf(CorruptFileError);
    expect(short.message).to.match(/metrics\.jsonl: wanted the rows of 4 iterations; got 2\./);
    writeFileSync(path(), '{"iteration":1}\n{"iteration":3}\n{"iteration":4}\n');
    expect((await rejection(openMetrics(path(), 3))).message).to.match(
      /metrics\.jsonl:2: wanted the row of iteration 2; got \{"iteration":3\}\.$/,
    );
    writeFileSync(path(), '{"iteration":1}\nnonsense\n');
    expect((await rejection(readMetrics(path()))).message).to.match(/metrics\.jsonl:2: not a row of metrics: nonsense\.$/);
  });

  it('counts bytes, not letters, when it cuts', async () => {
    const metrics = await openMetrics(path(), 0);
    await metrics.append(1, {'reward/é': 1});
    await metrics.append(2, {'reward/é': 2});
    await metrics.close();
    await through(1, [2]);
    expect(await readMetrics(path())).to.deep.equal([
      {iteration: 1, 'reward/é': 1},
      {iteration: 2, 'reward/mean': 2 / 3},
    ]);
  });

  it('writes what is not finite as null', async () => {
    const metrics = await openMetrics(path(), 0);
    await metrics.append(1, {loss: NaN});
    await metrics.close();
    expect(await readMetrics(path())).to.deep.equal([{iteration: 1, loss: null}]);
  });

  it('says on a full disk that no space is left, and keeps the whole rows', async function () {
    await onTinyDisk(this, folder(), async (disk) => {
      const metrics = await openMetrics(join(disk, 'metrics.jsonl'), 0);
      let rows = 0;
      const error = await rejection(
        (async () => {
          for (; ; rows++) await metrics.append(rows + 1, Object.fromEntries(Array.from({length: 500}, (_, i) => [`m/${i}`, i])));
        })(),
      );
      await metrics.close();
      expect(error.message).to.match(/^cannot write .*metrics\.jsonl: no space is left on the device/);
      expect(await readMetrics(join(disk, 'metrics.jsonl'))).to.have.length(rows);
    });
  });
});
