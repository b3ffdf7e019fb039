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
    ['nft', {after: 'change', change: 30}],
    ['direct', {after: 'change', change: 22}],
    // After a checkpoint, while an iteration learns and rolls out for the next.
    ['grpo', {after: 'line', line: 12, milliseconds: 0}, true],
  ];
  for (const [algorithm, moment, overlapRollouts = false] of cases) {
    it(`cannot be told from one that was not (${algorithm}${overlapRollouts ? ', overlapping rollouts' : ''})`, async () => {
      const run = {algorithm, world: 'gaussianToy', overlapRollouts, program, base: folder()} as const;
      const whole = await unbroken(run);
      const killed = join(folder(), 'killed');
      expect(await broken(run, killed, [moment], () => undefined)).to.equal(1);
      await expectSameFolder(whole, killed);
    });
  }
});
