/** ES modules are compiled to CommonJS for jest, packages that ship only ES modules too. */
const transform = {
  '^.+\\.[cm]?[jt]s$': [
    '@swc/jest',
    { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'commonjs', ignoreDynamic: true } },
  ],
};

export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: [],
  transform,
  transformIgnorePatterns: ['/node_modules/(?!(@noble|execa|commander|hono|@hono)/)'],
  modulePathIgnorePatterns: ['<rootDir>/.holdfast'],
  testTimeout: 60_000,
};
