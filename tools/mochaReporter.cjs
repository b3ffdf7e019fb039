/**
 * Mocha's `spec` reporter, and at the end one plain line `N passed, N failed, N skipped` that scripts can read.
 * With MOCHA_COUNTS set it writes the same line to that file, so that .ci/run can repeat it as its last word.
 */
'use strict';
const {writeFileSync} = require('node:fs');
const Mocha = require('mocha');

module.exports = class CountingReporter extends Mocha.reporters.Spec {
  epilogue() {
    super.epilogue();
    const {passes, failures, pending} = this.stats;
    const line = `${passes} passed, ${failures} failed${pending > 0 ? `, ${pending} skipped` : ''}`;
    process.stdout.write(`${line}\n`);
    if (process.env.MOCHA_COUNTS) writeFileSync(process.env.MOCHA_COUNTS, `${line}\n`);
  }
};
