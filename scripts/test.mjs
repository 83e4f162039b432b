/**
 * Type check, lint, and every test; ends with the line `N passed, N failed`. Arguments are passed on to jest.
 * A type check or lint that fails counts as one failed test, and so does a suite that could not run. With `HOLDFAST_TEST_ALL=1`,
 * as in CI, so does a program that is missing: what needs it would be skipped.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { missingPrograms } from './programs.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const bin = join(root, 'node_modules', '.bin');
const results = mkdtempSync(join(tmpdir(), 'holdfast-results-'));
const total = { passed: 0, failed: 0, skipped: 0 };

const DEADLINE_MINUTES = 55;
/** Of what a test said when it failed, so much is said again at the end. */
const SAID_AGAIN = 800;
const failures = [];

/** Run a program of `node_modules`, with its output shown; one that does not end is ended and has failed. */
function run(label, program, ...args) {
  console.log(`\n${label}`);
  const env = {
    NODE_COMPILE_CACHE: join(root, '.holdfast', 'compile-cache'), // hundreds of processes load the same files
    ...process.env,
    PATH: `${bin}${delimiter}${process.env.PATH}`, // the repository's own Node
  };
  const timeout = DEADLINE_MINUTES * 60 * 1000;
  const stdio = ['ignore', 'inherit', 'inherit'];
  const { status, error } = spawnSync(join(bin, program), args, { cwd: root, env, stdio, timeout });
  if (error !== undefined) console.error(`${label}: ${error.message} (after ${DEADLINE_MINUTES} minutes at most)`);
  return status === 0;
}

function check(label, program, ...args) {
  if (!run(label, program, ...args)) total.failed += 1;
}

function jest(label, ...args) {
  const file = join(results, `${label}.json`);
  // A test that failed may leave what waits for ever for what does not come: hence `--forceExit`.
  const passed = run(label, 'jest', '--forceExit', '--json', `--outputFile=${file}`, '--passWithNoTests', ...args);
  let counted = { numPassedTests: 0, numFailedTests: 0, numRuntimeErrorTestSuites: 1, numPendingTests: 0 };
  try {
    counted = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    console.error(`${label}: jest wrote no results`);
  }
  const failed = counted.numFailedTests + counted.numRuntimeErrorTestSuites;
  total.passed += counted.numPassedTests;
  total.failed += failed === 0 && !passed ? 1 : failed;
  total.skipped += counted.numPendingTests;
  for (const { assertionResults, message, name } of counted.testResults ?? []) {
    const tests = assertionResults.filter(({ status }) => status === 'failed');
    for (const { fullName, failureMessages } of tests) failures.push([fullName, failureMessages.join('\n')]);
    if (tests.length === 0 && message !== '') failures.push([name, message]); // it could not run
  }
}

const args = process.argv.slice(2);
check('Types', 'tsc', '-p', '.');
check('Lint', 'oxlint', '--type-aware');
check('Format', 'prettier', '--check', '.');
// The ignored paths come last: jest takes every word after them for one more.
jest('Tests', ...args, '--testPathIgnorePatterns=/node_modules/', '--testPathIgnorePatterns=/test/e2e/');
jest(
  'End to end',
  '--runInBand',
  ...args,
  '--testPathIgnorePatterns=/node_modules/',
  '--testPathIgnorePatterns=/test/(?!e2e/)',
);
rmSync(results, { recursive: true });
if (process.env.HOLDFAST_TEST_ALL === '1')
  for (const { names, debian } of missingPrograms().filter(({ optional }) => optional !== true)) {
    console.error(`${names[0]} is missing, and what needs it was not tested: apt-get install ${debian}`);
    total.failed += 1;
  }
for (const [name, message] of failures)
  console.log(`\nFailed: ${name}\n${stripVTControlCharacters(message).slice(0, SAID_AGAIN)}`);
if (total.skipped > 0) console.log(`\n${total.skipped} skipped: what they need is named above`);
console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
