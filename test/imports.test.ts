/** The import rules catch what they forbid: one violation of each is planted in a small tree, and the rules are asked. */
import {expect} from 'chai';
import {spawnSync} from 'node:child_process';
import {cpSync, mkdirSync, symlinkSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {packageRoot} from '../src/run/packageInfo.js';
import {temporaryFolder} from './support/files.js';

interface Report {
  readonly summary: {
    readonly violations: readonly {readonly from: string; readonly rule: {readonly name: string}}[];
    readonly ruleSetUsed: {readonly forbidden: readonly {readonly name: string}[]};
  };
}

/** Rule → the file that breaks it, and what that file imports. The first one breaks it by way of another file. */
const planted: Readonly<Record<string, [file: string, imports: string]>> = {
  'no cycles': ['src/run/a.ts', './b.js'],
  'plug-ins see only src/plugin.ts': ['rewards/p1.ts', '../src/errors.js'],
  'plug-ins use only tfjs-core, rxjs, zod and node': ['rewards/p2.ts', 'fast-check'],
  'plug-in folders do not meet': ['rewards/p3.ts', '../algorithms/good.js'],
  'src names no plug-in': ['src/train.ts', '../algorithms/good.js'],
  'plugin.ts does not lead to builtins': ['src/plugin.ts', './builtins.js'],
  'maths is stream-free': ['src/numeric/m1.ts', 'rxjs'],
  'maths does no input or output': ['src/models/m2.ts', 'node:fs'],
  'maths sees only maths, errors and contracts': ['src/models/m3.ts', '../run/good.js'],
  'tensor sees only errors': ['src/tensor/t1.ts', '../numeric/good.js'],
  'autograd knows no formulas': ['src/autograd/g1.ts', '../numeric/good.js'],
  'formulas do not know networks': ['src/transport/n1.ts', '../models/good.js'],
  'numeric does not know transport': ['src/numeric/n2.ts', '../transport/good.js'],
  'the engine is stream-free': ['src/engine/e1.ts', 'rxjs'],
  'the engine knows no formulas': ['src/engine/e2.ts', '../numeric/good.js'],
  'nobody imports the cli': ['src/run/c1.ts', '../cli/good.js'],
  'no network modules': ['src/run/c3.ts', 'node:https'],
  'nothing ships a test': ['src/run/c2.ts', '../../test/good.js'],
  'only src/engine/ imports onnxruntime-(node|common)': ['src/run/o1.ts', 'onnxruntime-node'],
  'only src/engine/ imports @tensorflow/tfjs-(backend-cpu|backend-wasm|node|node-gpu)': [
    'src/run/o2.ts',
    '@tensorflow/tfjs-backend-cpu',
  ],
  'only src/engine/ imports (onnx-buf|@bufbuild/protobuf)': ['src/run/o3.ts', 'onnx-buf'],
  'only src/expression.ts imports mathjs': ['src/run/o4.ts', 'mathjs'],
  'only src/cli/ imports yargs': ['src/run/o5.ts', 'yargs'],
  'only src/report/ imports sharp': ['src/run/o6.ts', 'sharp'],
  'only src/run/ imports yaml': ['src/report/o7.ts', 'yaml'],
};

/** What may be imported, and is: the same packages and folders by those who own them. */
const allowed: Readonly<Record<string, string[]>> = {
  'src/run/b.ts': ['./a.js'],
  'src/errors.ts': [],
  'src/environment.ts': [],
  'src/builtins.ts': ['../algorithms/good.js'],
  'src/expression.ts': ['mathjs'],
  'src/run/good.ts': ['yaml', 'node:fs', 'rxjs', '../engine/good.js', '../numeric/good.js'],
  'src/tensor/good.ts': ['../errors.js'],
  'src/autograd/good.ts': ['@tensorflow/tfjs-core', '../tensor/good.js'],
  'src/numeric/good.ts': ['@tensorflow/tfjs-core', '../tensor/good.js', '../autograd/good.js'],
  'src/transport/good.ts': ['../numeric/good.js'],
  'src/models/good.ts': ['../transport/good.js', '../environment.js'],
  'src/workers/good.ts': ['node:worker_threads'],
  'src/engine/good.ts': [
    'onnxruntime-node',
    'onnx-buf',
    '@tensorflow/tfjs-backend-cpu',
    'node:worker_threads',
    '../workers/good.js',
    '../autograd/good.js',
  ],
  'src/report/good.ts': ['sharp'],
  'src/cli/good.ts': ['yargs', '../run/good.js', '../builtins.js'],
  'algorithms/good.ts': ['rxjs', 'zod', '@tensorflow/tfjs-core'],
  'algorithms/better.ts': ['./good.js'],
  'environments/good.ts': ['node:worker_threads'],
  'test/good.ts': [],
};

describe('.dependency-cruiser.cjs', function () {
  this.timeout(300_000);
  const folder = temporaryFolder();

  it('catches a planted violation of every rule, in the file that holds it, and nothing else', () => {
    const root = packageRoot();
    const files = [...Object.values(planted).map(([file, imports]) => [file, [imports]] as const), ...Object.entries(allowed)];
    for (const [file, imports] of files) {
      const path = join(folder(), file);
      mkdirSync(dirname(path), {recursive: true});
      writeFileSync(path, `${imports.map((from) => `import '${from}';\n`).join('')}export const here = '${file}';\n`);
    }
    for (const config of ['.dependency-cruiser.cjs', 'tsconfig.json', 'package.json'])
      cpSync(join(root, config), join(folder(), config));
    symlinkSync(join(root, 'node_modules'), join(folder(), 'node_modules'));
    const cruiser = join(root, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs');
    const args = [cruiser, '--output-type', 'json', 'src', 'algorithms', 'rewards', 'environments'];
    const {stdout, stderr} = spawnSync(process.execPath, args, {cwd: folder(), encoding: 'utf8', maxBuffer: 2 ** 26});
    expect(stderr).to.equal('');
    const {violations, ruleSetUsed} = (JSON.parse(stdout) as Report).summary;
    const found = new Map<string, Set<string>>();
    for (const {from, rule} of violations) found.set(rule.name, (found.get(rule.name) ?? new Set()).add(from));
    expect(ruleSetUsed.forbidden.map((rule) => rule.name).sort()).to.deep.equal(Object.keys(planted).sort());
    for (const [rule, [file]] of Object.entries(planted)) expect([...(found.get(rule) ?? [])], rule).to.include(file);
    const guilty = new Set([...Object.values(planted).map(([file]) => file), 'src/run/b.ts']);
    for (const [rule, froms] of found) for (const from of froms) expect(guilty.has(from), `${rule}: ${from}`).to.equal(true);
  });
});
