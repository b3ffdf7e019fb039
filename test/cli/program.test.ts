import {expect} from 'chai';
import {spawn, type ChildProcess} from 'node:child_process';
import {cpSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {packageRoot} from '../../src/run/packageInfo.js';
import {temporaryFolder} from '../support/files.js';

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const root = packageRoot();

/** Collects what a process says until it ends. */
async function ended(child: ChildProcess): Promise<Ended> {
  const code = new Promise<number | null>((resolve) => child.on('exit', (c) => resolve(c)));
  const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!)]);
  return {code: await code, stdout, stderr};
}

/** Starts a command of the waiting program. */
const start = (command: string): ChildProcess =>
  spawn(process.execPath, ['--import', 'tsx', 'test/support/waitingProgram.ts', command], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });

/** Sends signals: the first when the process says that it is ready, each further one when it has answered the one before. */
async function interrupted(command: string, ...signals: NodeJS.Signals[]): Promise<Ended> {
  const child = start(command);
  const rest = [...signals];
  child.stderr!.on('data', (chunk: Buffer) => {
    const next = /ready|once more/.test(String(chunk)) ? rest.shift() : undefined;
    if (next !== undefined) child.kill(next);
  });
  return ended(child);
}

describe('cli/program', function () {
  this.timeout(120_000);

  it('lets a command save on the first Ctrl-C, and exits 130', async () => {
    const {code, stdout, stderr} = await interrupted('train', 'SIGINT');
    expect({code, stdout}).to.deep.equal({code: 130, stdout: 'saved\n'});
    expect(stderr).to.equal('ready\n\nrlft: SIGINT: finishing this step and saving; once more to quit at once.\n');
  });

  it('lets a command save on SIGTERM, and exits 143', async () => {
    expect(await interrupted('train', 'SIGTERM')).to.deep.include({code: 143, stdout: 'saved\n'});
  });

  it('quits at once on the second Ctrl-C', async () => {
    expect(await interrupted('stuck', 'SIGINT', 'SIGINT')).to.deep.include({code: 130, stdout: ''});
  });

  it('quits at once where nothing is to be saved', async () => {
    expect(await interrupted('look', 'SIGINT')).to.deep.equal({code: 130, stdout: '', stderr: 'ready\n'});
  });

  it('goes on to its end when the reader of stdout has gone', async () => {
    const child = start('talk');
    child.stdout!.once('data', () => child.stdout!.destroy());
    const code = new Promise<number | null>((resolve) => child.on('exit', (c) => resolve(c)));
    expect(await text(child.stderr!)).to.equal('finished\n');
    expect(await code).to.equal(0);
  });
});

describe('bin/rlft.js', function () {
  this.timeout(120_000);
  const folder = temporaryFolder();

  /** A clone whose build makes a program that prints its arguments, or fails. */
  function clone(build: string): string {
    const path = join(folder(), 'clone');
    for (const made of ['bin', 'src']) mkdirSync(join(path, made), {recursive: true});
    cpSync(join(root, 'bin', 'rlft.js'), join(path, 'bin', 'rlft.js'));
    writeFileSync(join(path, 'package.json'), JSON.stringify({type: 'module', scripts: {build: 'node build.js'}}));
    writeFileSync(join(path, 'build.js'), build);
    return path;
  }
  const rlft = (path: string, ...args: string[]): Promise<Ended> =>
    ended(spawn(process.execPath, [join(path, 'bin', 'rlft.js'), ...args], {cwd: folder(), stdio: ['ignore', 'pipe', 'pipe']}));

  const good = `import {mkdirSync, writeFileSync, appendFileSync} from 'node:fs';
    console.log('building');
    appendFileSync('builds.log', 'x');
    mkdirSync('dist/src/cli', {recursive: true});
    writeFileSync('dist/src/cli/main.js', 'export const runAsProgram = async () => console.log(process.argv.slice(2).join());');`;

  it('builds a bare clone once, says so on stderr, and keeps stdout for data', async () => {
    const path = clone(good);
    const first = await rlft(path, 'doctor', '--json');
    expect(first).to.deep.include({code: 0, stdout: 'doctor,--json\n'});
    expect(first.stderr).to.match(/^rlft: dist\/ is missing; running `npm run build` once[^\n]*\n[^]*building\n$/);
    expect(await rlft(path, 'doctor')).to.deep.equal({code: 0, stdout: 'doctor\n', stderr: ''});
    expect(readFileSync(join(path, 'builds.log'), 'utf8')).to.equal('x');
  });

  it('says what to try when the build fails', async () => {
    const {code, stdout, stderr} = await rlft(clone('process.exit(3)'));
    expect({code, stdout}).to.deep.equal({code: 1, stdout: ''});
    expect(stderr).to.match(/rlft: the build failed; its messages are above\. Try `npm ci`, then `npm run build`\.\n$/);
  });
});
