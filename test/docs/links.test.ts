/** Links between documents lead somewhere. */
import {expect} from 'chai';
import {existsSync} from 'node:fs';
import {dirname, join, normalize} from 'node:path';
import {documents, read, root} from '../support/documents.js';

/** Pages and pictures that are linked to and have yet to be made; the list only ever gets shorter. */
const toCome: readonly string[] = [];

/** Relative links of a page: its targets from the root, and the heading that each names. */
function linksOf(page: string): {page: string; target: string; heading: string | undefined}[] {
  const text = read(page).replace(/```[\s\S]*?```/g, '');
  return Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), ([, link]) => link)
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link) => {
      const [path, heading] = link.split('#');
      return {page, target: path === '' ? page : normalize(join(dirname(page), path)), heading};
    });
}

/** The anchors of a page's headings, as GitHub makes them. */
const anchorsOf = (page: string): string[] =>
  Array.from(read(page).matchAll(/^#+ (.+)$/gm), ([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} -]/gu, '')
      .replace(/ /g, '-'),
  );

describe('links between documents', () => {
  const links = documents().flatMap(linksOf);

  it('lead to files that are there', () => {
    const missing = links.filter(({target}) => !existsSync(join(root, target)) && !toCome.includes(target));
    expect(links.length).to.be.greaterThan(40);
    expect(missing.map(({page, target}) => `${page} → ${target}`)).to.deep.equal([]);
  });

  it('are not still to come once they are there: take them off the list `toCome` of this file', () => {
    expect(toCome.filter((target) => existsSync(join(root, target)))).to.deep.equal([]);
  });

  it('name headings that are there', () => {
    const named = links.filter(
      ({target, heading}) => heading !== undefined && target.endsWith('.md') && existsSync(join(root, target)),
    );
    expect(named.length).to.be.greaterThan(2);
    expect(named.filter(({target, heading}) => !anchorsOf(target).includes(heading!))).to.deep.equal([]);
  });
});
