import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { killedWhen } from './killed.ts';
import { approval, assertServed, createRig, on, order, visitors, type Rig } from './local-releases-rig.ts';

let rig: Rig;
beforeAll(async () => {
  rig = await createRig();
  const { releases } = rig.settings.services[0]!.environments['production']!;
  releases!.build = ['node', '-e', "require('fs').writeFileSync('built.txt', process.env.RELEASE)"];
  await rig.run('release', order('v1', 'deploy-1', 1));
});
afterAll(() => rig.end());

const stateFile = () => join(rig.stateDir, 'releases', on.service, on.environment, 'state.json');
const addresses = async (): Promise<string[]> => {
  const text = await readFile(join(rig.stateDir, 'targets', 'tiny-production.json'), 'utf8');
  return (JSON.parse(text) as { targets: string[] }[]).flatMap(({ targets }) => targets);
};
const restart = (id: string, instances: string[], fence: number, version = 'v1') =>
  approval(id, { kind: 'restart-instances', ...on, version, instances }, fence);

it('builds a release in its own files before it starts', async () => {
  const { running } = (await rig.run('recentReleases', on)) as { running: { commit: string } };
  const checkout = join(rig.stateDir, 'releases', on.service, on.environment, 'checkouts', running.commit);
  expect(await readFile(join(checkout, 'built.txt'), 'utf8')).toBe('v1');
});

it('replaces each instance by a new one of the same release, and answers no request with an error meanwhile', async () => {
  const [before, leaking] = [await rig.instances(), await addresses()];
  const load = visitors(rig.url);
  const fewest = { instances: Infinity };
  const watching = setInterval(
    () => void rig.instances().then(({ length }) => (fewest.instances = Math.min(fewest.instances, length))),
    50,
  );
  const effect = await rig.run('restartInstances', restart('incident#1', leaking, 2));
  clearInterval(watching);
  expect(effect).toEqual({ changed: true, summary: '2 of 2 instances were replaced' });
  assertServed(await load);
  const after = await rig.instances();
  expect(after).toHaveLength(2);
  expect(after.filter((name) => before.includes(name))).toEqual([]);
  expect(fewest.instances).toBeGreaterThanOrEqual(2);
  expect(await rig.run('recentReleases', on)).toMatchObject({ running: { version: 'v1', instances: 2 } });
}, 60_000);

it('does it once per approval, and only what was named', async () => {
  const before = await rig.instances();
  const [one = '', other = ''] = await addresses();
  const approved = restart('incident#2', [one], 3);
  expect(await rig.run('restartInstances', approved)).toMatchObject({ changed: true });
  expect(await addresses()).toContain(other);
  const after = await rig.instances();
  expect(await rig.run('restartInstances', approved)).toMatchObject({ changed: false });
  expect(await rig.instances()).toEqual(after);
  expect(after.filter((name) => before.includes(name))).toHaveLength(1);
});

it('goes on where a killed worker had stopped between two of them', async () => {
  const before = await addresses();
  const argument = restart('incident#3', before, 4);
  await killedWhen(
    rig.stateDir,
    {
      provider: 'local-releases',
      activity: 'restartInstances',
      variables: { HOLDFAST_STATE_DIR: rig.stateDir, CADDY_ADMIN_URL: rig.adminUrl },
      settings: rig.settings,
      argument,
    },
    async () => (await readFile(stateFile(), 'utf8')).includes(`"key": "incident#3:${before[0]}"`),
  );
  await rig.run('restartInstances', argument);
  const after = await addresses();
  expect(after).toHaveLength(2);
  expect(after.filter((address) => before.includes(address))).toEqual([]);
  expect(await rig.instances()).toHaveLength(2);
  expect(await rig.body()).toBe('v1');
});

it('refuses where another release runs, or a later change has acted', async () => {
  const [one = ''] = await addresses();
  const stale = rig.run('restartInstances', restart('incident#4', [one], 9, 'v0'));
  await expect(stale).rejects.toMatchObject({ type: 'StaleApproval' });
  await expect(rig.run('restartInstances', restart('incident#5', [one], 3))).rejects.toMatchObject({ type: 'Fenced' });
});
