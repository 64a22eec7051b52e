'use strict';

const js = require('@eslint/js');
const globals = {
  AbortController: 'readonly',
  AbortSignal: 'readonly',
  FinalizationRegistry: 'readonly',
  WeakRef: 'readonly',
  console: 'readonly',
  globalThis: 'readonly',
  module: 'writable',
  process: 'readonly',
  require: 'readonly',
  setImmediate: 'readonly',
  setTimeout: 'readonly',
};

module.exports = [
  { ignores: ['build/', 'node_modules/'] },
  { ...js.configs.recommended, languageOptions: { globals } },
  { files: ['**/*.js'], languageOptions: { sourceType: 'commonjs', globals } },
];
