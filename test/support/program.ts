/** The program `rlft` from the source, for tests that need a process of their own: what bin/rlft.js starts from dist/. */
import {runAsProgram} from '../../src/cli/main.js';

await runAsProgram();
