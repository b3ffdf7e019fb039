/**
 * Who may import whom, as a check: `npm run imports`. The reasons are in docs/decisions.md ("Layers").
 * test/imports.test.ts plants a violation of every rule and sees it caught.
 */
'use strict';
const forbid = (name, from, to) => ({name, severity: 'error', from, to});
const ours = '^(src|algorithms|rewards|environments)/';
const plugins = '^(algorithms|rewards|environments)/';
const mathsFolders = 'tensor|autograd|numeric|transport|models';
const maths = `^src/(${mathsFolders})/`;
const io = '^(node:)?(fs|fs/promises|child_process|worker_threads|net|http|https|os|process|readline)$';
const only = (pkg, owner) =>
  forbid(
    `only ${owner.replace(/[\^$\\]/g, '')} imports ${pkg}`,
    {path: ours, pathNot: owner},
    {path: `node_modules/${pkg}(/|$)`},
  );

module.exports = {
  forbidden: [
    // A circle of types alone is no circle at run time: a class and what rewrites it may name each other.
    forbid('no cycles', {path: ours}, {circular: true, viaOnly: {dependencyTypesNot: ['type-only']}}),
    forbid('plug-ins see only src/plugin.ts', {path: plugins}, {path: '^src/', pathNot: '^src/plugin\\.ts$'}),
    forbid(
      'plug-ins use only tfjs-core, rxjs, zod and node',
      {path: plugins},
      {path: 'node_modules/', pathNot: 'node_modules/(@tensorflow/tfjs-core|rxjs|zod|@types/node)(/|$)'},
    ),
    forbid('plug-in folders do not meet', {path: plugins}, {path: plugins, pathNot: '^$1/'}),
    forbid('src names no plug-in', {path: '^src/', pathNot: '^src/builtins\\.ts$'}, {path: plugins}),
    forbid('plugin.ts does not lead to builtins', {path: '^src/plugin\\.ts$'}, {path: '^src/builtins\\.ts$', reachable: true}),
    forbid('maths is stream-free', {path: maths}, {path: 'node_modules/rxjs(/|$)'}),
    forbid('maths does no input or output', {path: maths}, {path: io}),
    forbid(
      'maths sees only maths, errors and contracts',
      {path: maths},
      {path: `^src/(?!(${mathsFolders})/|(errors|environment|encoder|reward)\\.ts$)`},
    ),
    forbid('tensor sees only errors', {path: '^src/tensor/'}, {path: '^src/(?!tensor/|errors\\.ts$)'}),
    forbid('autograd knows no formulas', {path: '^src/autograd/'}, {path: '^src/(numeric|transport|models)/'}),
    forbid('formulas do not know networks', {path: '^src/(numeric|transport)/'}, {path: '^src/models/'}),
    forbid('numeric does not know transport', {path: '^src/numeric/'}, {path: '^src/transport/'}),
    forbid('the engine is stream-free', {path: '^src/engine/'}, {path: 'node_modules/rxjs(/|$)'}),
    forbid(
      'the engine knows no formulas',
      {path: '^src/engine/'},
      {path: '^src/(?!(engine|tensor|autograd|workers)/|(errors|nearest)\\.ts$)'},
    ),
    forbid('nobody imports the cli', {path: ours, pathNot: '^src/cli/'}, {path: '^src/cli/'}),
    // What rlft asks of the network it asks by fetch, in src/rewards/httpExchange.ts alone: eslint.config.js sees to that.
    forbid('no network modules', {path: ours}, {path: '^(node:)?(net|tls|dgram|dns|dns/promises|http|https|http2)$'}),
    forbid('nothing ships a test', {path: ours}, {path: '^(test|bench|examples|tools)/'}),
    only('onnxruntime-(node|common)', '^src/engine/'),
    only('@tensorflow/tfjs-(backend-cpu|backend-wasm|node|node-gpu)', '^src/engine/'),
    only('(onnx-buf|@bufbuild/protobuf)', '^src/engine/'),
    only('mathjs', '^src/expression\\.ts$'),
    only('yargs', '^src/cli/'),
    only('sharp', '^src/report/'),
    only('yaml', '^src/run/'),
  ],
  options: {
    doNotFollow: {path: 'node_modules'},
    tsConfig: {fileName: 'tsconfig.json'},
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {conditionNames: ['import', 'node', 'default', 'types'], exportsFields: ['exports']},
  },
};
