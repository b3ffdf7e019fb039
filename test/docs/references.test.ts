/** What docstrings cite stands in docs/references.md. */
import {expect} from 'chai';
import {read, sources} from '../support/documents.js';

/** The `@source` notes of a file, each on one line. */
const notes = (text: string): string[] =>
  Array.from(text.matchAll(/@source([\s\S]*?)(?=\n\s*\*\s*(?:@|\n)|\*\/)/g), ([, note]) =>
    note.replace(/\s*\n\s*\*\s*/g, ' ').trim(),
  );

/** `Black … 2024` for "Black et al. 2024", "Box & Muller 1958", "Hoare 1961". */
const papers = (note: string): string[] =>
  Array.from(
    note.matchAll(/((?:Mc)?\p{Lu}\p{Ll}+)(?: et al\.| & \p{Lu}\p{Ll}+)?,? ((?:19|20)\d\d)\b/gu),
    ([, author, year]) => `${author} ${year}`,
  );

const preprints = (note: string): string[] => Array.from(note.matchAll(/arXiv:\d{4}\.\d{5}/g), ([id]) => id);

describe('docs/references.md', () => {
  const text = read('docs/references.md');
  const listed = new Set(
    Array.from(
      text.matchAll(/^- \*\*((?:Mc)?\p{Lu}\p{Ll}+)[^*]*? ((?:19|20)\d\d)\*\*/gmu),
      ([, author, year]) => `${author} ${year}`,
    ),
  );
  const cited = sources().flatMap((file) => notes(read(file)).map((note) => ({file, note})));

  it('has every paper that a docstring cites by author and year', () => {
    const found = cited.flatMap(({file, note}) => papers(note).map((paper) => ({file, paper})));
    expect(found.length).to.be.greaterThan(30);
    expect(found.filter(({paper}) => !listed.has(paper))).to.deep.equal([]);
  });

  it('has every preprint that a docstring cites', () => {
    const found = cited.flatMap(({file, note}) => preprints(note).map((id) => ({file, id})));
    expect(found.length).to.be.greaterThan(8);
    expect(found.filter(({id}) => !text.includes(id))).to.deep.equal([]);
  });
});
