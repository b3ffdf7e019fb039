/** Runs that are killed while they start, in an iteration and while they write; `npm run test:kill` does it fifty times. */
import {join} from 'node:path';
import {expect} from 'chai';
import {broken, expectSameFolder, unbroken, type Killed, type Moment} from '../../support/killing.js';
import {temporaryFolder} from '../../support/files.js';

const program = ['--import', 'tsx', 'test/support/program.ts'];

describe('a run that is killed by SIGKILL and taken up again', function () {
  this.timeout(600_000);
  const folder = temporaryFolder();

  const cases: readonly [Killed, Moment, overlapRollouts?: boolean][] = [
    // After the evaluation before: nothing is saved, the first iteration is under way.
    ['ddpo', {after: 'line', line: 8, milliseconds: 0}],
    // After an iteration that has its row and no checkpoint yet.
    ['grpo', {after: 'line', line: 10, milliseconds: 0}],
    // While a file is written.
    ['nft', {after: 'change', change: 30}],
    ['direct', {after: 'change', change: 22}],
    // After a checkpoint, so that the optimizer's state and count have to come back; with overlap while the next rollouts are made.
    ['nft', {after: 'line', line: 12, milliseconds: 0}],
    ['direct', {after: 'line', line: 12, milliseconds: 0}],
    ['grpo', {after: 'line', line: 12, milliseconds: 0}, true],
  ];
  for (const [algorithm, moment, overlapRollouts = false] of cases) {
    const when = moment.after === 'line' ? `line ${moment.line}` : `change ${moment.change}`;
    it(`cannot be told from one that was not (${algorithm}, ${when}${overlapRollouts ? ', overlapping rollouts' : ''})`, async () => {
      const run = {algorithm, world: 'gaussianToy', overlapRollouts, program, base: folder()} as const;
      const whole = await unbroken(run);
      const killed = join(folder(), 'killed');
      expect(await broken(run, killed, [moment], () => undefined)).to.equal(1);
      await expectSameFolder(whole, killed);
    });
  }
});
