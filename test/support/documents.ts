/** The project's documents, as tests read them. */
import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

/** Root of the repository. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

/** A file of the repository as text. */
export const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Files of a folder and its subfolders that end in `ending`, by their paths from the root. */
export const filesOf = (folder: string, ending: string): string[] =>
  readdirSync(join(root, folder), {recursive: true, encoding: 'utf8'})
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name}`)
    .sort();

/** Everything that people read: the pages of the root and of docs/, without the generated docs/api. */
export const documents = (): string[] => [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...filesOf('docs', '.md').filter((path) => !path.startsWith('docs/api/')),
];

/** Source that ships. */
export const sources = (): string[] =>
  ['src', 'algorithms', 'rewards', 'environments'].flatMap((folder) => filesOf(folder, '.ts'));
