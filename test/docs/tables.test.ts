/** The tables of settings say what the schemas say. */
import {expect} from 'chai';
import {cellsOf, docTables, render, tableIn} from '../../tools/docTables.js';
import {read} from '../support/documents.js';

describe('tables of settings', () => {
  for (const table of docTables) {
    const {file, name, heading, rows} = table;

    it(`${file}: "${name}" has every key with its default; \`npm run docs:tables\` renews it`, () => {
      const present = tableIn(read(file), table);
      expect(present).to.equal(render(table, present));
      expect(rows.length).to.be.greaterThan(10);
    });

    if (heading.at(-1) === 'source') {
      it(`${file}: every row of "${name}" says where it comes from`, () => {
        const without = cellsOf(tableIn(read(file), table)).filter((cells) => cells.at(-1) === '');
        expect(without.map((cells) => cells[0])).to.deep.equal([]);
      });
    }
  }

  it('keeps hand-written sources and leaves new ones empty', () => {
    const table = {
      file: '',
      name: 't',
      heading: ['key', 'default', 'source'] as const,
      rows: [
        ['`a`', '1'],
        ['`b`', '2 | 3'],
      ] as const,
    };
    const present = '| key | default | source |\n| --- | --- | --- |\n| `a` | 7 | Somebody 2000 |';
    expect(cellsOf(render(table, present))).to.deep.equal([
      ['`a`', '1', 'Somebody 2000'],
      ['`b`', '2 \\| 3', ''],
    ]);
  });
});
