import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endProcess, findProcess, identityOf } from '../../src/processes.ts';
import { cuttingOff, failsAsDeclared, serving } from './http-server.ts';
import { killedWhen } from './killed.ts';
import { approval, assertServed, createRig, on, order, visitors, type Rig } from './local-releases-rig.ts';

let rig: Rig;
beforeAll(async () => {
  rig = await createRig();
});
afterAll(() => rig.end());

const releasing = (ref: string, key: string, fence = 1) => rig.run('release', order(ref, key, fence));
const rollBack = (id: string, from: string, to: string, fence: number) =>
  approval(id, { kind: 'roll-back', ...on, from, to }, fence);
const stateFile = () => join(rig.stateDir, 'releases', on.service, on.environment, 'state.json');

it('has nothing running before the first release', async () => {
  expect(await rig.run('recentReleases', on)).toEqual({ recent: [], maxInstances: 4 });
});

it('gives a healthy release the traffic, and does it once per key', async () => {
  expect(await releasing('v1', 'deploy-1')).toMatchObject({ changed: true });
  expect(await rig.body()).toBe('v1');
  const before = await rig.instances();
  expect(await releasing('v1', 'deploy-1')).toMatchObject({ changed: false });
  expect(await releasing('v1', 'deploy-1-again')).toEqual({ changed: false, summary: 'v1 runs already' });
  expect(await rig.instances()).toEqual(before);
  expect(await rig.switches()).toEqual(['deploy-1']);
  expect(await rig.run('recentReleases', on)).toMatchObject({
    running: { version: 'v1', weight: 1, instances: 2 },
    recent: [{ version: 'v1' }],
  });
});

it('tells Prometheus where the instances are, and the instances no secret of the control plane', async () => {
  const [group] = JSON.parse(await readFile(join(rig.stateDir, 'targets', 'tiny-production.json'), 'utf8')) as [
    { targets: string[]; labels: object },
  ];
  expect(group.targets).toHaveLength(2);
  expect(group.labels).toEqual({ ...on, version: 'v1' });
  const seen = JSON.parse(await rig.body('/environment')) as Record<string, string>;
  expect(seen).toMatchObject({ GREETING: 'hello', RELEASE: 'v1', HOST: '127.0.0.1', HOLDFAST_CODE_SECRET: '' });
  expect(seen).toMatchObject({ BACKUP_DB_URL: '', MIGRATIONS_DB_URL: '' });
});

it('answers no request with an error while the traffic moves under load, and every one in flight', async () => {
  const load = visitors(rig.url);
  const slow = (await Promise.all([rig.body('/slow/500'), sleep(50).then(() => releasing('v2', 'deploy-2'))]))[0];
  const result = await load;
  expect(slow).toBe('v1');
  expect(await rig.body()).toBe('v2');
  assertServed(result);
  expect(result['2xx']).toBeGreaterThan(1000);
  expect(await rig.instances()).toHaveLength(2);
  expect(await rig.installs()).toBe(1); // the lock file is the same
}, 60_000);

it('gives an unhealthy release no traffic, and ends it', async () => {
  const before = await rig.instances();
  await expect(releasing('broken', 'deploy-broken')).rejects.toMatchObject({
    type: 'ReleaseFailed',
    message: expect.stringContaining('the vault is sealed'),
  });
  expect(await rig.body()).toBe('v2');
  expect(await rig.instances()).toEqual(before);
});

it('refuses what is no ref or not in the repository', async () => {
  await expect(releasing('--upload-pack=touch', 'a')).rejects.toMatchObject({ type: 'Refused' });
  await expect(releasing('v1..v2', 'b')).rejects.toMatchObject({ type: 'Refused' });
  await expect(releasing('v99', 'c')).rejects.toMatchObject({ type: 'NotFound' });
});

it('refuses a rollback from what no longer runs, and one with an old fence', async () => {
  await expect(rig.run('rollBack', rollBack('stale', 'v1', 'v2', 5))).rejects.toMatchObject({
    type: 'StaleApproval',
  });
  await expect(rig.run('rollBack', rollBack('late', 'v2', 'v1', 4))).rejects.toMatchObject({
    type: 'Fenced',
  });
  expect(await rig.body()).toBe('v2');
});

it('takes no approval of another action', async () => {
  const scale = approval('other', { kind: 'scale', ...on, from: 2, to: 3 }, 9);
  await expect(rig.run('rollBack', scale as never)).rejects.toMatchObject({ type: 'NotAllowed' });
});

it('rolls back and undoes it, each once', async () => {
  const approved = rollBack('incident#1', 'v2', 'v1', 6);
  expect(await rig.run('undoRollBack', approved)).toMatchObject({ changed: false });
  const both = await Promise.all([rig.run('rollBack', approved), rig.run('rollBack', approved)]);
  expect(both.filter(({ changed }) => changed)).toHaveLength(1);
  expect(await rig.body()).toBe('v1');
  expect((await rig.run('recentReleases', on)).previous).toMatchObject({ version: 'v2' });
  expect(await rig.run('undoRollBack', approved)).toMatchObject({ changed: true });
  expect(await rig.run('undoRollBack', approved)).toMatchObject({ changed: false });
  expect(await rig.body()).toBe('v2');
});

it('starts again what died of the running release', async () => {
  const approved = rollBack('incident#2', 'v2', 'v1', 6);
  await rig.run('rollBack', approved);
  const [dead = ''] = await rig.instances();
  await endProcess(rig.stateDir, dead);
  expect((await rig.run('recentReleases', on)).running).toMatchObject({ instances: 1 });
  await rig.run('rollBack', approved);
  expect((await rig.run('recentReleases', on)).running).toMatchObject({ instances: 2 });
});

it('scales within the limit, and back', async () => {
  const more = approval('incident#3', { kind: 'scale', ...on, from: 2, to: 4 }, 7);
  const before = await rig.instances();
  expect(await rig.run('scale', more)).toMatchObject({ changed: true });
  expect(await rig.instances()).toEqual(expect.arrayContaining(before));
  expect(await rig.instances()).toHaveLength(4);
  expect(await rig.run('scale', more)).toMatchObject({ changed: false });
  expect(await rig.run('undoScale', more)).toMatchObject({ changed: true });
  expect(await rig.instances()).toHaveLength(2);
  const many = approval('incident#4', { kind: 'scale', ...on, from: 2, to: 5 }, 8);
  await expect(rig.run('scale', many)).rejects.toMatchObject({ type: 'Refused' });
});

describe('when the worker is killed', () => {
  const killed = (key: string, ref: string, when: (state: string) => boolean) =>
    killedWhen(
      rig.stateDir,
      {
        provider: 'local-releases',
        activity: 'release',
        variables: { HOLDFAST_STATE_DIR: rig.stateDir, CADDY_ADMIN_URL: rig.adminUrl },
        settings: rig.settings,
        argument: order(ref, key, 10),
      },
      async () => when(await readFile(stateFile(), 'utf8')),
    );

  it('before the traffic moved, the retry does it once', async () => {
    await killed('killed-early', 'v3', (state) => state.includes('"intent"'));
    expect(await rig.body()).toBe('v1');
    expect(await releasing('v3', 'killed-early', 10)).toMatchObject({ changed: true });
    expect(await rig.body()).toBe('v3');
    expect(await rig.instances()).toHaveLength(2);
    expect((await rig.switches()).filter((key) => key === 'killed-early')).toHaveLength(1);
  });

  it('after the traffic moved, the retry changes nothing and ends the old instances', async () => {
    const inFlight = rig.body('/slow/4000'); // which the old instances answer before they are ended
    await killed('killed-late', 'v2', (state) => state.includes('"key": "killed-late",\n    "switchId"'));
    expect(await rig.body()).toBe('v2');
    expect(await releasing('v2', 'killed-late', 10)).toMatchObject({ changed: false });
    expect(await inFlight).toBe('v3');
    expect(await rig.instances()).toHaveLength(2);
    expect((await rig.switches()).filter((key) => key === 'killed-late')).toHaveLength(1);
  });

  it('between the start of an instance and its registration, the instance does not outlive the retry', async () => {
    const [name = ''] = await rig.instances();
    const { pid } = (await findProcess(rig.stateDir, name))!;
    await rm(join(rig.stateDir, 'run', `${name}.json`));
    expect(await releasing('v3', 'after-orphan', 10)).toMatchObject({ changed: true });
    while ((await identityOf(pid)) !== undefined) await sleep(5);
    await releasing('v2', 'before-the-next', 10);
  });

  it('between the switch and its note, Caddy tells that it has happened', async () => {
    const state = JSON.parse(await readFile(stateFile(), 'utf8'));
    const { running, done, history, ...rest } = state;
    const intent = {
      key: running.key,
      fence: 10,
      switchId: running.switchId,
      at: running.at,
      summary: 'v2 runs',
      group: { version: running.version, commit: running.commit, instances: running.instances },
    };
    const before = { ...rest, done: done.slice(1), history: history.slice(1), intent };
    await writeFile(stateFile(), JSON.stringify(before));
    expect(await releasing('v2', 'before-the-next', 10)).toMatchObject({ changed: false });
    expect((await rig.switches())[0]).toBe('before-the-next');
  });
});

it('comes up again after everything was ended and only the state was kept', async () => {
  for (const name of await rig.instances()) await endProcess(rig.stateDir, name);
  expect(await releasing('v2', 'after-restart', 11)).toMatchObject({ changed: true });
  expect(await rig.body()).toBe('v2');
});

describe('as any provider', () => {
  const call = (url: string) => rig.releasesAt(url);
  failsAsDeclared(call);
  it('refuses an answer that is not JSON', async () => {
    await using server = await serving(() => ({ body: '<html>' }));
    await expect(call(server.url)).rejects.toMatchObject({ type: 'UnexpectedResponse' });
  });
  it('takes an answer that is cut off for none', async () => {
    await using server = await cuttingOff();
    await expect(call(server.url)).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
  });
});
