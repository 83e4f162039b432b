/** Each process is told to end in the middle of a mitigation of a real database, and is started again. */
import { readPages } from '../../src/pages.ts';
import { until } from '../support/until.ts';
import { startCanaryRig, type CanaryRig, type Part } from '../support/canary-rig.ts';

const ID = 'incident.shop.database-connection-issues';
const AT_MOST_MS = 30_000;
const ACTS = `select 1 from pg_stat_activity
  where application_name = 'holdfast' and state = 'active' and query like '%pg_terminate_backend%'`;

/** Has the incident's proposal approved by its one-time code. */
async function approve(rig: CanaryRig): Promise<void> {
  const asked = () => readPages(rig.stateDir, { person: 'responder' }).find(({ code }) => code !== null);
  const ready = await rig.statusOnce(
    ID,
    ({ phase }) => phase === 'closed' || (phase === 'waiting' && asked() !== undefined),
  );
  expect(ready).toMatchObject({ phase: 'waiting', proposal: { action: { kind: 'end-sessions' } } });
  await rig.client.workflow.getHandle(ID).signal('approve', { by: 'responder', code: asked()?.code });
}

it.each<{ parts: Part[]; runner: boolean }>([
  { parts: ['worker', 'gateway'], runner: false },
  { parts: ['runner'], runner: true },
])(
  'ends $parts with 0 within 30 seconds, and what was being done is done once, by what comes after',
  async (of) => {
    const rig = await startCanaryRig({ runner: of.runner });
    const { database, client } = rig;
    const ending = rig.parts.filter(({ part }) => of.parts.includes(part));
    try {
      const backend = await rig.forgetful();
      const signal = (name: NodeJS.Signals) => process.kill(backend, name);
      await rig.alert('DatabaseConnectionIssues', 'queries wait');
      signal('SIGSTOP'); // it is not to end before its time
      try {
        await approve(rig);
        await until(async () => (await database.admin.query(ACTS)).rowCount === 1, rig.late(ID));
        const began = Date.now();
        for (const { pid } of ending) process.kill(pid, 'SIGTERM');
        expect(await Promise.all(ending.map(({ ended }) => ended))).toEqual(ending.map(() => 0));
        expect(Date.now() - began).toBeLessThan(AT_MOST_MS);
        expect((await client.workflow.getHandle(ID).describe()).status.name).toBe('RUNNING');
      } finally {
        signal('SIGCONT'); // nothing ends while it is stopped, a connection to it neither
      }
      const own = `select 1 from pg_stat_activity where pid = ${backend}`;
      await until(async () => (await database.admin.query(own)).rowCount === 0, rig.late(ID));
      const next = await database.client(database.ownerUrl); // the application connects again, and forgets again
      await next.query('begin');
      await Promise.all(of.parts.map(rig.start));
      const { timeline } = await rig.statusOnce(ID, ({ phase }) => phase === 'closed');
      expect(timeline.filter(({ kind }) => kind === 'acting' || kind === 'acted').map(({ kind }) => kind)).toEqual([
        'acting',
        'acted',
      ]);
      expect((await next.query('select 1')).rowCount).toBe(1);
    } finally {
      await rig.close();
    }
  },
  400_000,
);
