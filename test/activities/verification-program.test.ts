/** A service's own program: real processes in a real folder. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createActivities } from '../../activities/verification.ts';
import { Settings, type SmokeReport } from '../../src/contracts/index.ts';
import { findProcess, identityOf } from '../../src/processes.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { isUntouched, makeUnreadable } from '../support/unreadable.ts';
import { until } from '../support/until.ts';
import { killedWhen } from './killed.ts';
import { settings } from './settings.ts';

/** Failures are what is tested here: they are no warnings. */
const anActivity = () => new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
const scope = { service: 'shop', environment: 'production' };
const commit = 'c0ffee'.padEnd(40, '0');
const NAME = 'verify-shop-production';

let stateDir: string;
let folder: string;
beforeEach(async () => {
  stateDir = scratchFolder();
  folder = join(stateDir, 'releases', 'shop', 'production', 'checkouts', commit);
  await mkdir(folder, { recursive: true });
});
afterEach(() => removeScratch(stateDir));

const settingsOf = (verify: { command: string[]; timeout?: string } | undefined) =>
  Settings.parse({
    ...settings,
    services: [
      { name: 'shop', environments: { production: { url: 'http://127.0.0.1:4180', deployment: { verify } } } },
    ],
  });
/** The program, in the checkout: it notes each of its starts in `starts`, by pid. */
async function program(script: string): Promise<string[]> {
  const begin = `const { appendFileSync, existsSync } = require('node:fs'); appendFileSync('starts', process.pid + '\\n');`;
  await writeFile(join(folder, 'verify.cjs'), `${begin}\n${script}`);
  return [process.execPath, 'verify.cjs'];
}
const WAIT_FOR_GO = `const wait = setInterval(() => { if (existsSync('go')) { clearInterval(wait); console.log('went'); } }, 20);`;
const go = () => writeFile(join(folder, 'go'), '');
const starts = async (): Promise<number[]> =>
  (await readFile(join(folder, 'starts'), 'utf8').catch(() => '')).split('\n').filter(Boolean).map(Number);

const verify = (
  command: string[] | undefined,
  of: { key?: string; timeout?: string; within?: MockActivityEnvironment; variables?: object; commit?: string } = {},
): Promise<SmokeReport> => {
  const { key = 'order-1', timeout = '1 minute', within = anActivity(), variables } = of;
  const configured = settingsOf(command && { command, timeout });
  const activities = createActivities({ HOLDFAST_STATE_DIR: stateDir, ...variables }, configured);
  return within.run(() => activities.verifyFunctionality({ ...scope, commit: of.commit ?? commit, key }));
};

it('passes when the program ends with 0, and says what it said last', async () => {
  const command = await program(`console.log('bought a cup'); console.error('at ' + process.env.BASE_URL);`);
  expect(await verify(command)).toEqual({
    passed: true,
    tests: [{ name: command.join(' '), passed: true, detail: 'at http://127.0.0.1:4180' }],
  });
});

it('fails when it ends otherwise, and finds the error above the stack', async () => {
  const command = await program(`console.log('bought a cup'); throw new Error('no receipt');`);
  const { passed, tests } = await verify(command);
  expect({ passed, detail: tests[0]?.detail }).toEqual({ passed: false, detail: 'ended with 1: Error: no receipt' });
});

it('takes a program that ends at once for what it is', async () => {
  expect(await verify(['true'])).toMatchObject({ passed: true });
  expect(await verify(['false'], { key: 'order-2' })).toMatchObject({
    passed: false,
    tests: [{ detail: 'ended with 1:' }],
  });
});

it('is not run while what it reported before cannot be read', async () => {
  const memory = join(stateDir, 'verification', 'shop.production.json');
  await makeUnreadable(memory);
  await expect(verify(await program(''))).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
  expect(await starts()).toEqual([]);
  expect(await isUntouched(memory)).toBe(true);
});

it('has nothing to say where no program is configured', async () => {
  expect(await verify(undefined)).toEqual({ passed: true, tests: [] });
});

it('says what is missing', async () => {
  await expect(verify(['true'], { commit: 'd'.repeat(40) })).rejects.toMatchObject({ type: 'NotFound' });
  await expect(verify(['true'], { commit: '../../../..' })).rejects.toMatchObject({ type: 'Refused' });
  await expect(verify(['holdfast-has-no-such-program'])).rejects.toMatchObject({
    type: 'NotConfigured',
    message: expect.stringContaining('holdfast-has-no-such-program'),
  });
});

it('keeps the variables of the control plane from it', async () => {
  process.env['BUGSINK_TOKEN'] = 'not for the shop';
  try {
    const command = await program(`console.log(JSON.stringify(process.env.BUGSINK_TOKEN));`);
    const { tests } = await verify(command, { variables: { BUGSINK_TOKEN: 'not for the shop' } });
    expect(tests[0]?.detail).toBe('""');
  } finally {
    delete process.env['BUGSINK_TOKEN'];
  }
});

it('runs once for a key and returns its result again; another key runs it again', async () => {
  const command = await program(`console.log('pid ' + process.pid);`);
  const first = await verify(command);
  expect(await verify(command)).toEqual(first);
  expect(await starts()).toHaveLength(1);
  expect(await verify(command, { key: 'order-2' })).not.toEqual(first);
  expect(await verify(command)).toEqual(first);
  expect(await starts()).toHaveLength(2);
});

it('fails after its time-out, and ends the program and its children', async () => {
  const command = await program(
    `const { spawn } = require('node:child_process');
     const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
     appendFileSync('starts', child.pid + '\\n'); console.log('waiting'); setInterval(() => {}, 1000);`,
  );
  const report = await verify(command, { timeout: '1 second' });
  expect(report).toMatchObject({ passed: false, tests: [{ detail: 'did not end within 1 second: waiting' }] });
  const pids = await starts();
  expect(pids).toHaveLength(2);
  await until(async () => (await Promise.all(pids.map(identityOf))).every((identity) => identity === undefined));
  expect(await verify(command)).toEqual(report);
});

it('ends the children that a program leaves behind', async () => {
  const command = await program(
    `const { spawn } = require('node:child_process');
     const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
     appendFileSync('starts', child.pid + '\\n'); child.unref(); console.log('done');`,
  );
  expect(await verify(command)).toMatchObject({ passed: true, tests: [{ detail: 'done' }] });
  const pids = await starts();
  await until(async () => (await identityOf(pids[1] ?? 0)) === undefined);
});

it('beats while it runs', async () => {
  const within = anActivity();
  within.on('heartbeat', () => void go());
  expect(await verify(await program(WAIT_FOR_GO), { within })).toMatchObject({
    passed: true,
    tests: [{ detail: 'went' }],
  });
});

it('ends the program when it is cancelled, and keeps no result', async () => {
  const command = await program(WAIT_FOR_GO);
  const within = anActivity();
  const cancelled = verify(command, { within });
  void until(async () => (await starts()).length === 1).then(() => within.cancel());
  await expect(cancelled).rejects.toMatchObject({ name: 'CancelledFailure' });
  expect(await identityOf((await starts())[0] ?? 0)).toBeUndefined();
  await go();
  expect(await verify(command)).toMatchObject({ passed: true });
  expect(await starts()).toHaveLength(2);
});

it.each([
  ['after it has registered the program', true],
  ['before it has', false],
])('ends what a worker left that was killed %s, and runs it anew', async (_, registered) => {
  const command = await program(WAIT_FOR_GO);
  await killedWhen(
    stateDir,
    {
      provider: 'verification',
      activity: 'verifyFunctionality',
      variables: { HOLDFAST_STATE_DIR: stateDir },
      settings: settingsOf({ command }),
      argument: { ...scope, commit, key: 'order-1' },
    },
    async () => (await starts()).length === 1 && (await findProcess(stateDir, NAME)) !== undefined,
  );
  const [left = 0] = await starts();
  if (!registered) await rm(join(stateDir, 'run', `${NAME}.json`));
  expect(await identityOf(left)).toBeDefined();
  const again = verify(command);
  await until(async () => (await starts()).length === 2);
  expect(await identityOf(left)).toBeUndefined();
  await go();
  expect(await again).toMatchObject({ passed: true, tests: [{ detail: 'went' }] });
  expect(await findProcess(stateDir, NAME)).toBeUndefined();
});

it('lets an attempt that another has taken over from say nothing', async () => {
  const command = await program(WAIT_FOR_GO);
  const first = verify(command);
  const refused = expect(first).rejects.toMatchObject({
    type: 'Unavailable',
    message: expect.stringContaining('another'),
  });
  await until(async () => (await starts()).length === 1 && (await findProcess(stateDir, NAME)) !== undefined);
  const second = verify(command);
  await refused;
  await go();
  expect(await second).toMatchObject({ passed: true });
  expect(await starts()).toHaveLength(2);
});

it('takes an end from outside for no verdict', async () => {
  const ended = verify(await program(WAIT_FOR_GO));
  void until(async () => (await starts()).length === 1).then(async () =>
    process.kill((await starts())[0] ?? 0, 'SIGKILL'),
  );
  await expect(ended).rejects.toMatchObject({ type: 'Unavailable' });
  expect(existsSync(join(stateDir, 'verification', 'shop.production.json'))).toBe(true);
});
