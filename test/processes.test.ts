import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  endProcess,
  findProcess,
  identityOf,
  lastLines,
  listProcesses,
  readIfThere,
  runCommand,
  runRegistered,
  startProcess,
} from '../src/processes.ts';
import { makeUnreadable } from './support/unreadable.ts';

let stateDir: string;
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'holdfast-processes-'));
});
afterEach(async () => {
  for (const { name } of await listProcesses(stateDir)) await endProcess(stateDir, name, 0);
  await rm(stateDir, { recursive: true, force: true });
});

const start = (name: string, script: string, env: Record<string, string> = {}) =>
  startProcess({ stateDir, name, command: process.execPath, args: ['-e', script], env });
const WAIT = 'setInterval(() => {}, 1000);';

/** Wait until the log holds a text. */
async function logged(logFile: string, text: string): Promise<void> {
  while (!(await lastLines(logFile)).includes(text)) await new Promise((done) => setTimeout(done, 20));
}

it('starts a process that is found, listed, and ended', async () => {
  const started = await start('sample', WAIT);
  expect(await findProcess(stateDir, 'sample')).toMatchObject({ pid: started.pid, identity: started.identity });
  expect((await listProcesses(stateDir)).map(({ name }) => name)).toEqual(['sample']);
  await endProcess(stateDir, 'sample');
  expect(await identityOf(started.pid)).toBeUndefined();
  expect(await findProcess(stateDir, 'sample')).toBeUndefined();
  await endProcess(stateDir, 'sample');
});

it('does not take a file that cannot be read for one that is not there', async () => {
  const file = join(stateDir, 'kept.json');
  expect(await readIfThere(file)).toBeUndefined();
  await writeFile(file, 'kept');
  expect(await readIfThere(file)).toBe('kept');
  await makeUnreadable(file);
  await expect(readIfThere(file)).rejects.toMatchObject({
    type: 'Unavailable',
    message: expect.stringContaining(file),
  });
});

it('does not take a process whose register cannot be read for one that has ended', async () => {
  await makeUnreadable(join(stateDir, 'run', 'sample.json'));
  await expect(findProcess(stateDir, 'sample')).rejects.toMatchObject({ type: 'Unavailable' });
  await expect(endProcess(stateDir, 'sample')).rejects.toMatchObject({ type: 'Unavailable' });
  await rm(join(stateDir, 'run', 'sample.json'));
});

it('lays the environment over its own and keeps the output in the log', async () => {
  const { logFile } = await start('sample', `console.log(process.env.COLOUR, typeof process.env.PATH); ${WAIT}`, {
    COLOUR: 'green',
  });
  await logged(logFile, 'green string');
});

it('outlives the process that started it, which is free to end', async () => {
  const script = join(stateDir, 'starter.mjs');
  await writeFile(
    script,
    `import { startProcess } from ${JSON.stringify(resolve('src/processes.ts'))};
     await startProcess({ stateDir: ${JSON.stringify(stateDir)}, name: 'orphan', command: process.execPath, args: ['-e', '${WAIT}'] });`,
  );
  await runCommand({ command: resolve('node_modules/.bin/node'), args: [script], timeoutMs: 20_000 });
  expect(await findProcess(stateDir, 'orphan')).toMatchObject({ name: 'orphan' });
});

it('ends the children of a process with it, also when they ignore the signal', async () => {
  const child = `process.on('SIGTERM', () => {}); console.log('child ' + process.pid); ${WAIT}`;
  const { logFile } = await start(
    'parent',
    `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(child)}], { stdio: 'inherit' }); ${WAIT}`,
  );
  await logged(logFile, 'child ');
  const pid = Number(/child (\d+)/.exec(await lastLines(logFile))?.[1]);
  await endProcess(stateDir, 'parent');
  while ((await identityOf(pid)) !== undefined) await new Promise((done) => setTimeout(done, 20));
});

it('kills a process that does not end in its time', async () => {
  const { pid, logFile } = await start('stubborn', `process.on('SIGTERM', () => {}); console.log('up'); ${WAIT}`);
  await logged(logFile, 'up');
  await endProcess(stateDir, 'stubborn', 100);
  expect(await identityOf(pid)).toBeUndefined();
});

it('leaves a process alone that got the pid of an ended one', async () => {
  const { pid } = await start('first', WAIT);
  const file = join(stateDir, 'run', 'first.json');
  const stale = { ...JSON.parse(await readFile(file, 'utf8')), name: 'stale', identity: 'of an earlier one' };
  await writeFile(join(stateDir, 'run', 'stale.json'), JSON.stringify(stale));
  expect(await findProcess(stateDir, 'stale')).toBeUndefined();
  await endProcess(stateDir, 'stale');
  expect(await identityOf(pid)).toBeDefined();
});

it('refuses a second process of one name, and a name that is no file name', async () => {
  await start('sample', WAIT);
  await expect(start('sample', WAIT)).rejects.toThrow(/sample runs already, with pid \d+/);
  await expect(start('../sample', WAIT)).rejects.toThrow('cannot name a process');
});

it('says why a process could not be started', async () => {
  await expect(startProcess({ stateDir, name: 'none', command: '/no/such/file', args: [] })).rejects.toThrow(
    /none did not start: .*ENOENT/s,
  );
});

it('runs a command and tells its last words when it fails', async () => {
  const node = (script: string) => runCommand({ command: process.execPath, args: ['-e', script] });
  expect(await node('console.log(1 + 1)')).toEqual({ stdout: '2' });
  await expect(node('console.error("the disk is full"); process.exit(3)')).rejects.toThrow(
    /exit code 3[\s\S]*the disk is full/,
  );
});

const run = (script: string, signal = new AbortController().signal) =>
  runRegistered({ stateDir, name: 'run', command: process.execPath, args: ['-e', script], signal });

it('runs a registered command to its end and says how it failed', async () => {
  expect(await run('console.log(1)')).toBeUndefined();
  expect(await run('process.exit(3)')).toContain('exit code 3');
  expect(await run('process.kill(process.pid, "SIGKILL")')).toContain('SIGKILL');
  expect(await findProcess(stateDir, 'run')).toBeUndefined();
  const missing = { stateDir, name: 'run', command: join(stateDir, 'missing'), args: [] };
  expect(await runRegistered({ ...missing, signal: new AbortController().signal })).toContain('ENOENT');
});

it('ends a registered command when it is told to, also when it was told before', async () => {
  const told = new AbortController();
  const ended = run(WAIT, told.signal);
  const aborted = expect(ended).rejects.toMatchObject({ name: 'AbortError' });
  while ((await findProcess(stateDir, 'run')) === undefined) await new Promise((done) => setTimeout(done, 20));
  told.abort();
  await aborted;
  await expect(run(WAIT, told.signal)).rejects.toMatchObject({ name: 'AbortError' });
  expect(await listProcesses(stateDir)).toEqual([]);
});
