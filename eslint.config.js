/** Lint rules: type-aware, because a promise that nobody awaits is the commonest way for this code base to lose an error. */
import js from '@eslint/js';
import jsdoc from 'eslint-plugin-jsdoc';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  {ignores: ['.rlft/**', 'dist/**', 'dist-*/**', 'coverage/**', 'docs/**', 'runs/**', 'node_modules/**', 'assets/**']},
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {parserOptions: {projectService: true, tsconfigRootDir: import.meta.dirname}},
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', {considerDefaultExhaustiveForUnions: true}],
      '@typescript-eslint/consistent-type-imports': ['error', {fixStyle: 'inline-type-imports'}],
      '@typescript-eslint/require-await': 'off', // an async function is how a contract's Promise is met by a plain value
      '@typescript-eslint/no-unused-vars': ['error', {argsIgnorePattern: '^_', varsIgnorePattern: '^_'}],
      eqeqeq: 'error',
      'no-restricted-properties': [
        'error',
        {object: 'Math', property: 'random', message: 'Draw from the keyed generator (src/tensor/random.ts).'},
        {object: 'tf', property: 'randomNormal', message: 'It is frozen by tracing: noise is an input.'},
      ],
      'no-restricted-syntax': ['error', {selector: 'ExportDefaultDeclaration', message: 'Export by name.'}],
    },
  },
  {
    files: ['src/**/*.ts', 'algorithms/**/*.ts', 'rewards/**/*.ts', 'environments/**/*.ts'],
    plugins: {jsdoc},
    rules: {
      'no-console': 'error',
      'no-restricted-globals': ['error', {name: 'fetch', message: 'The network is asked by src/rewards/httpExchange.ts alone.'}],
      'jsdoc/require-jsdoc': [
        'error',
        {
          publicOnly: true,
          enableFixer: false, // it would add empty comments, which say nothing and pass
          exemptOverloadedImplementations: true,
          require: {ClassDeclaration: true, FunctionDeclaration: true},
          contexts: ['TSInterfaceDeclaration', 'TSTypeAliasDeclaration', 'ExportNamedDeclaration > VariableDeclaration'],
        },
      ],
      'jsdoc/require-description': [
        'error',
        {contexts: ['TSInterfaceDeclaration', 'TSTypeAliasDeclaration', 'FunctionDeclaration', 'ClassDeclaration']},
      ],
    },
  },
  {
    files: ['src/rewards/httpExchange.ts'],
    rules: {'no-restricted-globals': 'off'},
  },
  {
    // chai's assertions are property reads: `expect(x).to.be.true`.
    files: ['test/**/*.ts'],
    rules: {'@typescript-eslint/no-unused-expressions': 'off'},
  },
  {
    files: ['**/*.js', '**/*.cjs'],
    languageOptions: {
      globals: {process: 'readonly', require: 'readonly', module: 'writable', console: 'readonly', URL: 'readonly'},
    },
  },
);
