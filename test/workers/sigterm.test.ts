/** Gateway and worker are told to end in the middle of a mitigation of a real database, and are started again. */
import { readPages } from '../../src/pages.ts';
import { until } from '../support/until.ts';
import { startCanaryRig } from '../support/canary-rig.ts';

const ID = 'incident.shop.database-connection-issues';
const AT_MOST_MS = 30_000;

it('ends with 0 within 30 seconds, and what it was doing is done once, by the worker after it', async () => {
  const rig = await startCanaryRig({ encrypted: false });
  const { database, client, worker, gateway } = rig;
  const { rows } = await (async () => {
    const session = await database.client(database.ownerUrl);
    await session.query('begin');
    return await session.query<{ pid: number }>('select pg_backend_pid() as pid');
  })();
  const backend = rows[0]?.pid as number;
  try {
    await rig.alert('DatabaseConnectionIssues', 'queries wait');
    const asked = () => readPages(rig.stateDir, { person: 'responder' }).find(({ code }) => code !== undefined);
    await until(async () => (await rig.status(ID))?.phase === 'waiting' && asked() !== undefined);

    process.kill(backend, 'SIGSTOP'); // it is not to end before its time
    await client.workflow.getHandle(ID).signal('approve', { by: 'responder', code: asked()?.code });
    const acts = `select 1 from pg_stat_activity where application_name = 'holdfast' and state = 'active' and query like '%pg_terminate_backend%'`;
    await until(async () => (await database.admin.query(acts)).rowCount === 1);
    const began = Date.now();
    for (const { pid } of [worker, gateway]) process.kill(pid, 'SIGTERM');
    expect(await Promise.all([worker.ended, gateway.ended])).toEqual([0, 0]);
    expect(Date.now() - began).toBeLessThan(AT_MOST_MS);
    expect((await client.workflow.getHandle(ID).describe()).status.name).toBe('RUNNING');

    process.kill(backend, 'SIGCONT');
    const own = `select 1 from pg_stat_activity where pid = ${backend}`;
    await until(async () => (await database.admin.query(own)).rowCount === 0);
    const next = await database.client(database.ownerUrl); // the application connects again, and forgets again
    await next.query('begin');
    await Promise.all([rig.start('worker'), rig.start('gateway')]);
    await until(async () => (await rig.status(ID))?.phase === 'closed');
    const { timeline = [] } = (await rig.status(ID)) ?? {};
    expect(timeline.filter(({ kind }) => kind === 'acting' || kind === 'acted').map(({ kind }) => kind)).toEqual([
      'acting',
      'acted',
    ]);
    expect((await next.query('select 1')).rowCount).toBe(1);
  } finally {
    await rig.close();
  }
}, 240_000);
