import { availableParallelism } from 'node:os';

/** ES modules are compiled to CommonJS for jest, packages that ship only ES modules too. */
const transform = {
  '^.+\\.[cm]?[jt]s$': [
    '@swc/jest',
    { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'commonjs', ignoreDynamic: true } },
  ],
};

const EXECA =
  'execa @sec-ant @sindresorhus figures get-stream human-signals is-plain-obj is-stream is-unicode-supported npm-run-path ' +
  'parse-ms path-key pretty-ms strip-final-newline unicorn-magic yoctocolors';
const TEMPORAL = ['temporal-polyfill', 'temporal-utils'];
const COMMITS = 'conventional-commits-parser @simple-libs';
const OCTOKIT =
  'octokit @octokit universal-user-agent before-after-hook toad-cache content-type universal-github-app-jwt json-with-bigint';
const ES_MODULES = [
  '@noble',
  'commander',
  'hono',
  '@hono',
  ...TEMPORAL,
  ...EXECA.split(' '),
  ...COMMITS.split(' '),
  ...OCTOKIT.split(' '),
];

export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: [],
  transform,
  transformIgnorePatterns: [`/node_modules/(?!(${ES_MODULES.join('|')})/)`],
  // these export to `import` only
  moduleNameMapper: {
    '^unicorn-magic$': '<rootDir>/node_modules/unicorn-magic/node.js',
    '^conventional-commits-parser$': '<rootDir>/node_modules/conventional-commits-parser/dist/index.js',
    '^@simple-libs/stream-utils$': '<rootDir>/node_modules/@simple-libs/stream-utils/dist/index.js',
    '^@octokit/(auth-unauthenticated|webhooks-methods)$': '<rootDir>/node_modules/@octokit/$1/dist-node/index.js',
  },
  modulePathIgnorePatterns: ['<rootDir>/.holdfast'],
  /** Most tests wait for other processes, so that three go on at once on two cores. */
  maxWorkers: Math.max(3, availableParallelism() - 1),
  /** Of what hangs: a busy machine takes three times as long as a quiet one. */
  testTimeout: 180_000,
};
