import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { configuration, git } from '../../activities/index.ts';
import { simulatedCode } from '../../activities/simulator.ts';
import { Settings, type Drilled, type Status } from '../../src/contracts/index.ts';
import { runCommand } from '../../src/processes.ts';
import { createRepository } from '../activities/git-rig.ts';
import { emulatedGithub } from '../activities/github-rig.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';
import { endedStatus } from '../support/ended.ts';
import { startRig, type Rig } from './rig.ts';

const measure = { windowSeconds: 1, lasting: '1 second', every: '1 second' };
const releases = { repository: 'https://github.example/ada/shop.git', server: 'shop', listen: '127.0.0.1:0' };
const settingsWith = (change: { objective?: number; approvers?: string; mode?: string; github?: string }) => ({
  people: [
    { name: 'lead', roles: ['responder', 'approver'] },
    { name: 'cto', roles: ['admin'] },
  ],
  ladder: [
    { level: 'team', people: ['lead'], wait: '5 minutes' },
    { level: 'cto', people: ['cto'], wait: '5 minutes' },
  ],
  approval: {
    low: { roles: ['approver'] },
    medium: { roles: [change.approvers ?? 'approver'] },
    high: { roles: ['admin'] },
  },
  services: [
    {
      name: 'shop',
      environments: {
        production: {
          mode: change.mode ?? 'act',
          url: 'http://127.0.0.1:4180',
          objectives: { errorRatio: change.objective ?? 0.01 },
          measure,
          ...(change.github === undefined ? {} : { releases: { ...releases, github: change.github } }),
        },
      },
    },
  ],
});

let rig: Rig;
let folder: string;
/** Asked for pull requests, by the worker. */
const code: { host?: ReturnType<typeof git.createActivities> } = {};
const assertNever = (): never => {
  throw new Error('no test has set a code host');
};
const policies = configuration.createActivities(
  { HOLDFAST_DECISION_PUBLIC_KEYS: '' },
  Settings.parse(settingsWith({})),
);
beforeAll(async () => {
  folder = scratchFolder();
  rig = await startRig({
    policy: (scope) => policies.policy(scope),
    openPullRequest: async (draft) => (code.host ?? assertNever()).openPullRequest(draft),
  });
  rig.configure('holdfast.config.mjs', settingsWith({}), { inUse: true });
  const workflowId = 'incident.shop.high-error-rate';
  const handle = await rig.client.workflow.start('highErrorRate', {
    workflowId,
    taskQueue: 'holdfast',
    args: [endedStatus().incident],
  });
  const status = () => handle.query<Status>('status').catch(() => undefined);
  await until(async () => (await status())?.phase === 'waiting');
  await handle.signal('approve', { by: 'lead', code: simulatedCode('lead') });
  await handle.result();
  await until(async () => (await rig.client.workflow.getHandle(workflowId).describe()).status.name === 'COMPLETED');
}, 120_000);
afterAll(async () => {
  await rig.close();
  await removeScratch(folder);
});

interface Asked {
  answers: { workflowId: string; outcome: string; differences: string[]; unsure?: string }[];
  branch?: string;
}
const whatIf = async (change: Parameters<typeof settingsWith>[0], ...more: string[]): Promise<Asked> => {
  const file = rig.configure('other.config.mjs', settingsWith(change), { inUse: false });
  return await rig.json<Asked>('what-if', '--config', file, ...more);
};

it('says that nothing would have gone differently under the same configuration', async () => {
  expect(await whatIf({})).toEqual({
    answers: [
      expect.objectContaining({ workflowId: 'incident.shop.high-error-rate', outcome: 'mitigated', differences: [] }),
    ],
  });
});

it('says what a higher objective would have judged, and how it would have ended where nobody there may approve', async () => {
  const { answers } = await whatIf({ objective: 0.5, approvers: 'admin' });
  expect(answers[0]?.differences).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^it ends as unanswered .* instead of mitigated/),
      '"error ratio" is judged ok instead of bad',
      expect.stringContaining('decided: nothing instead of Approved'),
      'paged: team, cto instead of team',
    ]),
  );
});

it('commits the proposed configuration to a branch, with what would have gone differently', async () => {
  const repository = await createRepository(folder);
  await repository.commit('Begin', { 'holdfast.config.mjs': 'export default {};\n', 'README.md': 'ours' });
  const asked = await whatIf(
    { mode: 'propose' },
    '--propose',
    'learning/propose-only',
    '--repository',
    repository.path,
    '--as',
    'lead',
  );
  expect(asked.branch).toMatch(/^learning\/propose-only at [0-9a-f]{12}$/);
  const show = async (...args: string[]) =>
    (await runCommand({ command: 'git', args: ['--git-dir', repository.path, ...args] })).stdout;
  expect(await show('show', 'learning/propose-only:holdfast.config.mjs')).toContain('"mode": "propose"');
  expect(await show('show', 'learning/propose-only:README.md')).toBe('ours');
  expect(await show('log', '-1', '--format=%an %B', 'learning/propose-only')).toMatch(
    /^lead [\s\S]*it ends as handed-over/,
  );
  expect(await show('show', 'main:holdfast.config.mjs')).toBe('export default {};');
});

it('proposes what lies in a folder of a working tree there, from the branch that is checked out', async () => {
  const origin = join(folder, 'nested');
  const worktree = join(origin, 'worktree');
  const repository = await createRepository(origin);
  await repository.commit('Begin');
  await repository.git('worktree', 'add', '--quiet', '-b', 'trunk', worktree);
  mkdirSync(join(worktree, 'ops'));
  writeFileSync(join(worktree, 'ops', 'errors.md'), 'what to do');
  const inUse = relative(rig.stateDir, join(worktree, 'ops', 'holdfast.config.mjs'));
  rig.configure(inUse, settingsWith({}), { inUse: true });
  const git = (...args: string[]) => repository.git('-C', worktree, ...args);
  await git('add', '--all');
  await git('commit', '--quiet', '--message', 'Configure');
  writeFileSync(join(worktree, 'ops', 'errors.md'), 'what to do instead');
  const of = ['--repository', worktree, '--document', join(worktree, 'ops', 'errors.md'), '--as', 'lead'];
  const noneTried = ['--days', '0.000001'];
  const { branch } = await whatIf({ mode: 'propose' }, '--propose', 'learning/nested', ...of, ...noneTried);
  rig.configure('holdfast.config.mjs', settingsWith({}), { inUse: true });
  expect(branch).toMatch(/^learning\/nested at [0-9a-f]{12}$/);
  expect(await git('diff', '--name-only', 'trunk', 'learning/nested')).toBe('ops/errors.md\nops/holdfast.config.mjs');
  expect(await git('show', 'learning/nested:ops/errors.md')).toBe('what to do instead');
  expect(await git('rev-parse', 'learning/nested^')).toBe(await git('rev-parse', 'trunk'));
  expect(await git('rev-parse', 'trunk^')).toBe(await git('rev-parse', 'main'));
});

it('opens a pull request on the repository of the service, once, with the documents that change with it', async () => {
  await using github = await emulatedGithub(folder);
  await github.commit('Begin', { 'holdfast.config.mjs': 'export default {};\n', 'README.md': 'ours' });
  code.host = git.createActivities(
    { HOLDFAST_STATE_DIR: folder, TEMPORAL_NAMESPACE: 'default', GITHUB_TOKEN: 'tok', GITHUB_URL: github.url },
    Settings.parse(settingsWith({ github: 'ada/shop' })),
  );
  const propose = ['--propose', 'learning/propose-only', '--as', 'lead', '--document', 'README.md'];
  const refused = rig.cli(
    'what-if',
    '--config',
    rig.configure('x.mjs', settingsWith({}), { inUse: false }),
    ...propose,
  );
  expect(await refused).toMatchObject({ code: 2, text: expect.stringContaining('releases.github') });
  rig.configure('holdfast.config.mjs', settingsWith({ github: 'ada/shop' }), { inUse: true });
  const { branch } = await whatIf({ mode: 'propose', github: 'ada/shop' }, ...propose);
  expect(branch).toMatch(/\/ada\/shop\/pull\/1$/);
  const again = await whatIf({ mode: 'propose', github: 'ada/shop' }, ...propose);
  expect(again.branch).toBe(`${branch}, which was there already`);
  const pulls = await github.call<{ title: string; body: string; head: { ref: string } }[]>('GET', '/pulls');
  expect(pulls).toMatchObject([{ head: { ref: 'learning/propose-only' } }]);
  expect(pulls[0]?.body).toContain('it ends as handed-over');
  const { tree } = await github.call<{ tree: { path: string }[] }>('GET', '/git/trees/learning%2Fpropose-only');
  expect(tree.map(({ path }) => path).sort()).toEqual(expect.arrayContaining(['README.md', 'holdfast.config.mjs']));
}, 240_000);

it('runs a drill in skipped time and shows who would be paged', async () => {
  const answered = await rig.json<Drilled>('drill', 'high-error-rate');
  expect(answered.status).toMatchObject({ outcome: 'mitigated', incident: { openedBy: 'drill' } });
  const silent = await rig.json<Drilled>('drill', 'high-error-rate', '--unanswered');
  expect(silent.status.outcome).toBe('unanswered');
  expect([...new Set(silent.pages.map(({ person }) => person))]).toEqual(['lead', 'cto']);
  expect((await rig.cli('drill', 'no-such-runbook')).code).toBe(2);
});
