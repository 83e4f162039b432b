import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createActivities } from '../../activities/pipeline.ts';
import { identityOf, listProcesses } from '../../src/processes.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { makeUnreadable } from '../support/unreadable.ts';
import { until } from '../support/until.ts';
import { anEnvironment, asActivity, createRepository, scope, settingsFor, type Repository } from './git-rig.ts';
import { killedWhen } from './killed.ts';

/** Notes its pid, starts a child that notes its own and never ends by itself, and waits for the file `go`. */
const WORK = `
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync } from 'node:fs';
const [notes, go] = process.argv.slice(2);
const child = spawn(process.execPath, ['-e', "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"], { detached: true });
appendFileSync(notes, 'begun ' + process.pid + ' ' + child.pid + '\\n');
setInterval(() => {
  if (!existsSync(go)) return;
  appendFileSync(notes, 'done\\n');
  process.exit(0);
}, 20);
`;

let folder: string;
let repository: Repository;
let commit: string;
beforeEach(async () => {
  folder = scratchFolder();
  repository = await createRepository(folder);
  commit = await repository.commit('Begin', { 'work.mjs': WORK, 'folder/file.txt': 'of the commit' });
});
afterEach(() => removeScratch(folder));

const variables = () => ({
  HOLDFAST_STATE_DIR: folder,
  GITHUB_URL: 'http://127.0.0.1:9',
  PATH: process.env['PATH'],
});
const settingsOf = (commands: string[][], timeout = '1 minute') =>
  settingsFor(repository.path, { pipeline: { commands, timeout } });
const runOf = (commands: string[][], key = 'run-1', timeout?: string) => {
  const provider = createActivities(variables(), settingsOf(commands, timeout));
  return () => provider.runPipeline({ ...scope, commit, key });
};
const run = (commands: string[][], key?: string, timeout?: string) => asActivity(runOf(commands, key, timeout));
const script = (text: string): string[] => ['node', '-e', text];
const notes = () => join(folder, 'notes');
const working = (): string[] => ['node', 'work.mjs', notes(), join(folder, 'go')];
const lines = async () => (await readFile(notes(), 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');
const begun = async (): Promise<number[][]> =>
  (await lines()).filter((line) => line.startsWith('begun')).map((line) => line.split(' ').slice(1).map(Number));
const gone = (pids: number[] = []) =>
  until(async () => (await Promise.all(pids.map(identityOf))).every((identity) => identity === undefined));

it('passes when every command does, each in the files of the commit, and keeps what they wrote', async () => {
  const ended = await run([
    script(
      "console.log(require('fs').readFileSync('folder/file.txt', 'utf8')); require('fs').writeFileSync('built', '')",
    ),
    script(
      "console.error('built: ' + require('fs').existsSync('built') + ', git: ' + require('fs').existsSync('.git'))",
    ),
    ['true'],
  ]);
  expect(ended).toMatchObject({ passed: true, summary: expect.stringMatching(/^3 commands passed in [\d.]+ s$/) });
  const log = await readFile(ended.log, 'utf8');
  expect(log).toContain(`commit ${commit}`);
  expect(log).toContain('of the commit\n');
  expect(log).toContain('built: true, git: false\n$ true\n');
  expect(existsSync(join(folder, 'pipelines', 'shop', 'production', 'checkout'))).toBe(false);
});

it('does not run again while how it ended cannot be read', async () => {
  const noting = script(`require('fs').appendFileSync(${JSON.stringify(notes())}, 'ran\\n')`);
  const { log } = await run([noting]);
  await makeUnreadable(log.replace(/\.log$/, '.json'));
  await expect(run([noting])).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
  expect(await lines()).toEqual(['ran']);
});

it('fails with the command and the end of what it wrote, and runs nothing after it', async () => {
  const failing = script("console.log('x'.repeat(2000)); console.error('the vault is sealed'); process.exitCode = 3");
  const ended = await run([failing, ['node', 'work.mjs', notes(), 'go']]);
  expect(ended.passed).toBe(false);
  expect(ended.summary).toContain('exit code 3: node -e');
  expect(ended.summary).toMatch(/the vault is sealed$/);
  expect(ended.summary.length).toBeLessThanOrEqual(500);
  expect(await lines()).toEqual([]);
});

it('fails when a command cannot be started or is ended by a signal', async () => {
  expect(await run([['no-such-program', '--now']], 'a')).toMatchObject({
    passed: false,
    summary: expect.stringContaining('no-such-program'),
  });
  expect(await run([script("process.kill(process.pid, 'SIGKILL')")], 'b')).toMatchObject({
    passed: false,
    summary: expect.stringContaining('SIGKILL'),
  });
});

it('runs once per key, and anew for another key', async () => {
  const once = [script(`require('fs').appendFileSync(${JSON.stringify(notes())}, 'ran\\n'); process.exitCode = 1`)];
  const both = await Promise.all([run(once), run(once)]);
  expect(both[1]).toEqual(both[0]);
  expect(await run(once)).toEqual(both[0]);
  expect(await lines()).toEqual(['ran']);
  const other = await run(once, 'run-2');
  expect(other.log).not.toBe(both[0].log);
  expect(await lines()).toEqual(['ran', 'ran']);
});

it('ends what takes longer than its time, and says so', async () => {
  const ended = await run([working()], 'slow', '1 s');
  expect(ended).toMatchObject({
    passed: false,
    summary: expect.stringContaining('took longer than 1 s: node work.mjs'),
  });
  const [pids] = await begun();
  await gone(pids);
});

it('ends with everything it has started when it is cancelled, and runs anew when it is asked for again', async () => {
  const environment = anEnvironment();
  let beats = 0;
  environment.on('heartbeat', () => void (beats += 1));
  const cancelled = environment.run(runOf([working()])) as Promise<unknown>;
  await until(async () => (await begun()).length === 1 && beats > 0);
  environment.cancel();
  await expect(cancelled).rejects.toMatchObject({ name: 'CancelledFailure' });
  const [pids] = await begun();
  await gone(pids);
  expect(await listProcesses(folder)).toEqual([]);
  await writeFile(join(folder, 'go'), '');
  expect(await run([working()])).toMatchObject({ passed: true });
});

it('ends what its commands leave running', async () => {
  await writeFile(join(folder, 'go'), '');
  expect(await run([working()])).toMatchObject({ passed: true });
  const [pids] = await begun();
  await gone(pids);
});

it('is run once more when its worker was killed, never beside what that worker left, and has one result', async () => {
  await killedWhen(
    folder,
    {
      provider: 'pipeline',
      activity: 'runPipeline',
      variables: variables(),
      settings: settingsOf([working()]),
      argument: { ...scope, commit, key: 'run-1' },
    },
    async () => (await begun()).length === 1,
  );
  const [left] = await begun();
  expect(await identityOf(left?.[0] ?? 0)).toBeDefined();
  const again = run([working()]);
  await until(async () => (await begun()).length === 2);
  await gone(left);
  await writeFile(join(folder, 'go'), '');
  const ended = await again;
  expect(ended).toMatchObject({ passed: true });
  expect(await run([working()])).toEqual(ended);
  expect((await lines()).filter((line) => line === 'done')).toHaveLength(1);
});

it('needs no repository for a commit that it has', async () => {
  await run([['true']]);
  const settings = settingsOf([['true']]);
  const releases = settings.services[0]?.environments['production']?.releases;
  Object.assign(releases ?? {}, { repository: join(folder, 'away.git') });
  const provider = createActivities(variables(), settings);
  const known = asActivity(() => provider.runPipeline({ ...scope, commit, key: 'away' }));
  expect(await known).toMatchObject({ passed: true });
  const unknown = asActivity(() => provider.runPipeline({ ...scope, commit: 'f'.repeat(40), key: 'away' }));
  await expect(unknown).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
});

it('shows its commands nothing of the control plane', async () => {
  const secrets = { HOLDFAST_CODE_SECRET: 'one-time', GITHUB_TOKEN: 'ghp_x', SUPABASE_DB_URL: 'postgres://x:s3cret@y' };
  Object.assign(process.env, secrets);
  try {
    const provider = createActivities({ ...variables(), ...secrets }, settingsOf([script('console.log(process.env)')]));
    const { passed, log } = await asActivity(() => provider.runPipeline({ ...scope, commit, key: 'run-1' }));
    const seen = await readFile(log, 'utf8');
    expect(passed).toBe(true);
    expect(seen).toContain("CI: 'true'");
    expect(seen).not.toMatch(/one-time|ghp_x|s3cret/);
  } finally {
    for (const name of Object.keys(secrets)) delete process.env[name];
  }
});

it('says what is not configured', async () => {
  const provider = createActivities(variables(), settingsFor(repository.path));
  await expect(asActivity(() => provider.runPipeline({ ...scope, commit, key: 'k' }))).rejects.toMatchObject({
    type: 'NotConfigured',
  });
});
