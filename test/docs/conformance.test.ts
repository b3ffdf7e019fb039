/** The plug-ins that the documents teach keep their contracts, by the very lines that the documents show. */
import {checks} from './snippets/conformance.js';

describe('plug-ins of the documents, by the conformance checks', function () {
  this.timeout(120_000);
  checks();
});
