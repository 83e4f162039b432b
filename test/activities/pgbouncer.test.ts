/** Real PgBouncer before a real Postgres, with a pool of three. */
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import { createActivities } from '../../activities/pgbouncer.ts';
import { pgbouncerBinary } from '../../src/embedded/pgbouncer.ts';
import { runCommand } from '../../src/processes.ts';
import { until } from '../support/until.ts';
import { approvalOf, asActivity, scope, settings, startDatabaseRig, type DatabaseRig } from './database-rig.ts';
import { killedWhen } from './killed.ts';

const described = pgbouncerBinary() !== undefined ? describe : describe.skip;
described('the connection pool', () => {
  let rig: DatabaseRig;
  let appUrl: string;
  let adminConsole: Client;
  let variables: { PGBOUNCER_ADMIN_URL: string; HOLDFAST_STATE_DIR: string };
  let activities: ReturnType<typeof createActivities>;
  beforeAll(async () => {
    rig = await startDatabaseRig();
    const started = await rig.startPgBouncer();
    appUrl = started.url;
    variables = { PGBOUNCER_ADMIN_URL: started.adminUrl, HOLDFAST_STATE_DIR: rig.stateDir };
    activities = createActivities(variables, settings);
    adminConsole = await rig.client(started.adminUrl);
  }, 120_000);
  afterAll(() => rig[Symbol.asyncDispose]());

  const backendOf = async (client: Client): Promise<number> =>
    (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid ?? 0;
  const withPoolFile = (poolFile: string) => {
    const changed = structuredClone(settings);
    Object.assign(changed.services[0]?.environments['production']?.database ?? {}, { poolFile });
    return changed;
  };
  const resize = (from: number, to: number) => ({ kind: 'resize-pool', ...scope, pool: 'app', from, to }) as const;

  it('counts who waits and who holds a connection', async () => {
    const holders = [];
    for (let i = 0; i < 3; i += 1) holders.push(await rig.client(appUrl));
    for (const holder of holders) await holder.query('begin');
    const victim = await rig.client(appUrl);
    const waiting = victim.query('select 1');
    await until(async () => (await activities.poolUse(scope)).clientsWaiting === 1);
    expect(await activities.poolUse(scope)).toMatchObject({
      pool: 'app',
      size: 3,
      serversActive: 3,
      clientsWaiting: 1,
    });
    for (const holder of holders) await holder.query('rollback');
    await waiting;
    await until(async () => (await activities.poolUse(scope)).serversIdle === 3);
    expect(await activities.poolUse(scope)).toMatchObject({ serversActive: 0, clientsWaiting: 0, maxWaitMs: 0 });
  });

  it('replaces the connections of the pool, once, while its clients stay connected', async () => {
    const client = await rig.client(appUrl);
    const before = await backendOf(client);
    const approval = approvalOf({ kind: 'reconnect-pool', ...scope, pool: 'app' } as const, 1);
    expect(await asActivity(() => activities.reconnectPool(approval))).toMatchObject({ changed: true });
    const after = await backendOf(client);
    expect(after).not.toBe(before);
    expect(await asActivity(() => activities.reconnectPool(approval))).toMatchObject({ changed: false });
    expect(await backendOf(client)).toBe(after);
  });

  const pausing = (fence: number) =>
    approvalOf({ kind: 'reconnect-pool', ...scope, pool: 'app', pause: true } as const, fence);

  it('replaces all connections at once behind a pause, and its clients go on', async () => {
    const client = await rig.client(appUrl);
    const before = await backendOf(client);
    const approval = pausing(1);
    expect(await asActivity(() => activities.reconnectPool(approval))).toMatchObject({ changed: true });
    const after = await backendOf(client);
    expect(after).not.toBe(before);
    expect(await asActivity(() => activities.reconnectPool(approval))).toMatchObject({ changed: false });
    expect(await backendOf(client)).toBe(after);
  });

  it('gives a pause up when a connection does not come free, and the others go on', async () => {
    const holder = await rig.client(appUrl);
    await holder.query('begin');
    const paused = asActivity(() => activities.reconnectPool(pausing(1)));
    await expect(paused).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
    expect(await backendOf(await rig.client(appUrl))).toBeGreaterThan(0);
    await holder.query('rollback');
  });

  it('replaces the connections once, though its worker is killed while one of them is in use', async () => {
    const [holder, other] = [await rig.client(appUrl), await rig.client(appUrl)];
    await holder.query('begin');
    const approval = approvalOf({ kind: 'reconnect-pool', ...scope, pool: 'app' } as const, 1);
    const before = await backendOf(other);
    const argument = { provider: 'pgbouncer', activity: 'reconnectPool', variables, settings, argument: approval };
    await killedWhen(rig.stateDir, argument, async () => (await backendOf(other)) !== before);
    const after = await backendOf(other);
    await holder.query('rollback');
    expect(await asActivity(() => activities.reconnectPool(approval))).toMatchObject({ changed: true });
    expect(await backendOf(other)).toBe(after);
  });

  it('ends a pause that a killed worker has left', async () => {
    const holder = await rig.client(appUrl);
    await holder.query('begin');
    const approval = pausing(1);
    const request = { provider: 'pgbouncer', activity: 'reconnectPool', variables, settings, argument: approval };
    const isPaused = async () =>
      (await adminConsole.query<{ paused: number; name: string }>('SHOW DATABASES')).rows.some(
        ({ name, paused }) => name === 'app' && Number(paused) === 1,
      );
    await killedWhen(rig.stateDir, request, isPaused);
    expect(await isPaused()).toBe(true);
    await holder.query('rollback');
    expect(await asActivity(() => activities.reconnectPool(approval))).toMatchObject({ changed: true });
    expect(await isPaused()).toBe(false);
    expect(await backendOf(holder)).toBeGreaterThan(0);
  });

  it('keeps a new size of the pool in the file that the configuration names, and the rest of the file as it is', async () => {
    const file = join(rig.stateDir, 'pgbouncer', 'pgbouncer.ini');
    const before = await readFile(file, 'utf8');
    const { uid, mode } = await stat(file);
    const kept = createActivities(variables, withPoolFile(file));
    const approval = approvalOf(resize(3, 6), 1);
    await asActivity(() => kept.resizePool(approval));
    expect(await readFile(file, 'utf8')).toBe(before.replace('default_pool_size = 3', 'default_pool_size = 6'));
    expect(await stat(file)).toMatchObject({ uid, mode });
    await asActivity(() => kept.undoResizePool(approval));
    expect(await readFile(file, 'utf8')).toBe(before);
    const elsewhere = createActivities(variables, withPoolFile(join(rig.stateDir, 'none.ini')));
    await expect(asActivity(() => elsewhere.resizePool(approvalOf(resize(3, 6), 1)))).rejects.toMatchObject({
      type: 'NotAllowed',
    });
    expect((await activities.poolUse(scope)).size).toBe(3);
  });

  it('keeps a new size, and the one it returns to, in the file also when its worker is killed before it could', async () => {
    const [file, real] = [join(rig.stateDir, 'kept.ini'), join(rig.stateDir, 'real.ini')];
    const before = '[pgbouncer]\ndefault_pool_size = 3\n';
    await writeFile(real, before);
    const kept = withPoolFile(file);
    const approval = approvalOf(resize(3, 6), 1);
    const request = { provider: 'pgbouncer', variables, settings: kept, argument: approval };
    const sizeIs = (size: number) => async () => (await activities.poolUse(scope)).size === size;
    const cutShort = async (activity: string, size: number): Promise<void> => {
      await runCommand({ command: 'mkfifo', args: [file] }); // who reads it waits for what nobody writes
      await killedWhen(rig.stateDir, { ...request, activity }, sizeIs(size));
      await rm(file);
      await rename(real, file);
    };
    const again = createActivities(variables, kept);
    await cutShort('resizePool', 6);
    expect(await readFile(file, 'utf8')).toBe(before);
    expect(await asActivity(() => again.resizePool(approval))).toMatchObject({ changed: true });
    expect(await readFile(file, 'utf8')).toBe(before.replace('3', '6'));
    expect(await asActivity(() => again.resizePool(approval))).toMatchObject({ changed: false });

    await rename(file, real);
    await cutShort('undoResizePool', 3);
    expect(await readFile(file, 'utf8')).toBe(before.replace('3', '6'));
    expect(await asActivity(() => again.undoResizePool(approval))).toMatchObject({ changed: true });
    expect(await readFile(file, 'utf8')).toBe(before);
    expect(await asActivity(() => again.undoResizePool(approval))).toMatchObject({ changed: false });
  });

  it('resizes the pool, so that those who waited go on, and returns to the size before', async () => {
    const holders = [];
    for (let i = 0; i < 3; i += 1) holders.push(await rig.client(appUrl));
    for (const holder of holders) await holder.query('begin');
    const waiting = (await rig.client(appUrl)).query('select 1');
    await until(async () => (await activities.poolUse(scope)).clientsWaiting === 1);
    const approval = approvalOf(resize(3, 6), 2);
    expect(await asActivity(() => activities.resizePool(approval))).toMatchObject({ changed: true });
    await waiting;
    expect(await asActivity(() => activities.resizePool(approval))).toMatchObject({ changed: false });
    expect(await asActivity(() => activities.undoResizePool(approval))).toMatchObject({ changed: true });
    expect(await asActivity(() => activities.undoResizePool(approval))).toMatchObject({ changed: false });
    expect((await activities.poolUse(scope)).size).toBe(3);
    for (const holder of holders) await holder.query('rollback');
  });

  it('refuses as stale when the pool has another size by now, and what is fenced off', async () => {
    await expect(asActivity(() => activities.resizePool(approvalOf(resize(5, 10), 3)))).rejects.toMatchObject({
      type: 'StaleApproval',
    });
    await expect(asActivity(() => activities.resizePool(approvalOf(resize(3, 6), 1)))).rejects.toMatchObject({
      type: 'Fenced',
    });
    expect(await asActivity(() => activities.undoResizePool(approvalOf(resize(3, 6), 3)))).toMatchObject({
      changed: false,
    });
  });

  it('does not return to the size before when a later change has acted since', async () => {
    const approval = approvalOf(resize(3, 6), 4);
    await asActivity(() => activities.resizePool(approval));
    await asActivity(() => activities.reconnectPool(pausing(5)));
    const fenced = { type: 'Fenced', nonRetryable: true };
    await expect(asActivity(() => activities.undoResizePool(approval))).rejects.toMatchObject(fenced);
    expect((await activities.poolUse(scope)).size).toBe(6);
    await asActivity(() => activities.resizePool(approvalOf(resize(6, 3), 6)));
  });

  it('is unavailable when the console does not answer, and may be refused there', async () => {
    const at = (url: string) =>
      createActivities({ PGBOUNCER_ADMIN_URL: url, HOLDFAST_STATE_DIR: rig.stateDir }, settings);
    await expect(at('postgresql://a:b@127.0.0.1:1/pgbouncer').poolUse(scope)).rejects.toMatchObject({
      type: 'Unavailable',
    });
    await expect(at(appUrl.replace(/app$/, 'pgbouncer')).poolUse(scope)).rejects.toMatchObject({
      nonRetryable: expect.any(Boolean),
    });
  });
});
