import type { Alert } from '../../src/contracts/index.ts';
import type { Monitor, Watched } from '../../workflows/monitor-service.ts';
import { skippedTime, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

/** A monitor that reads every minute, and what it has sent; `reading.ratio` undefined is a source that does not answer. */
async function startMonitor(sendAlert?: (alert: Alert) => void) {
  const reading: { ratio: number | undefined; script: number[] } = { ratio: 0, script: [] };
  const sent: Alert[] = [];
  const database = { ok: true, waiting: 0 };
  const input: Monitor = {
    service: 'shop',
    every: '1 minute',
    watched: [{ environment: 'production', alerts: {} }],
  };
  const { handle } = await time.start('monitorService', input, {
    errorRatio: async () => {
      const ratio = reading.script.shift() ?? reading.ratio;
      if (ratio === undefined) throw new Error('no answer');
      return { ratio, requests: 1000, windowSeconds: 300 };
    },
    supabaseHealth: async () => ({ rest: { ok: database.ok, ms: 4, detail: 'HTTP 503' } }),
    poolUse: async () => ({
      pool: 'app',
      clientsActive: 20,
      clientsWaiting: database.waiting,
      maxWaitMs: 900,
      serversActive: 20,
      serversIdle: 0,
      size: 20,
    }),
    sendAlert: async (alert) => {
      sendAlert?.(alert);
      sent.push(alert);
    },
  });
  return {
    sent,
    database,
    told: () => sent.map(({ status }) => status),
    watched: () => handle.query<Watched[]>('watched'),
    watch: (...environments: string[]) => handle.signal('watch', { every: '1 minute', environments }),
    /** Let it read these, one by one; what it reads next is between threshold and objective. */
    play: async (script: number[]): Promise<void> => {
      reading.ratio = 0.03;
      reading.script = [...script];
      while (reading.script.length > 0) await time.env.sleep('1 minute');
    },
    /** Let it read this for so many minutes. */
    measure: async (ratio: number | undefined, minutes: number): Promise<void> => {
      reading.ratio = ratio;
      await time.env.sleep(minutes * 60_000);
    },
  };
}

it('raises the alert at the second reading over the threshold, and resolves it at the third under the objective', async () => {
  const { sent, play } = await startMonitor();
  const [bad, between, good] = [0.2, 0.03, 0];
  await play([bad, good, bad, between, bad]); // never two in a row
  expect(sent).toEqual([]);
  await play([bad, bad, between]);
  expect(sent).toMatchObject([{ status: 'firing', name: 'HighErrorRate', service: 'shop' }]);
  await play([between, good, good, between, good, good]); // never three in a row
  expect(sent).toHaveLength(1);
  await play([good, good, good, between]);
  expect(sent).toMatchObject([{ status: 'firing' }, { status: 'resolved', startsAt: sent[0]?.startsAt }]);
});

it('tells again every 15 minutes what goes on firing, as the same alert', async () => {
  const { measure, told, sent } = await startMonitor();
  await measure(0.2, 50);
  expect(told()).toEqual(['firing', 'firing', 'firing', 'firing']);
  expect(new Set(sent.map(({ key }) => key)).size).toBe(1);
});

it('is blind, not alarmed and not relieved, while the source does not answer', async () => {
  const { measure, told, watched } = await startMonitor();
  await measure(undefined, 10);
  expect(told()).toEqual([]);
  await measure(0.2, 3);
  await measure(undefined, 10);
  expect(told()).toEqual(['firing']);
  expect(await watched()).toMatchObject([{ alerts: { HighErrorRate: { firingSince: expect.any(String) } } }]);
});

it('tells an alert that the gateway did not take at a later reading', async () => {
  let refusals = 0;
  const { measure, told } = await startMonitor(() => {
    refusals += 1;
    if (refusals < 20) throw new Error('the gateway is away');
  });
  await measure(0.2, 20);
  expect(told()[0]).toBe('firing');
});

it('watches what the configuration asks for when a worker starts, and goes on with what it knew', async () => {
  const { measure, sent, watched, watch } = await startMonitor();
  await measure(0.2, 3);
  await watch('production', 'staging');
  await measure(0.2, 3);
  expect(sent.map(({ environment }) => environment)).toEqual(['production', 'staging']);
  await watch('staging');
  expect(await watched()).toMatchObject([
    { environment: 'staging', alerts: { HighErrorRate: { firingSince: sent[1]?.startsAt } } },
  ]);
});

it('raises the alert of the database when it does not answer or clients wait for its pool, and then none for the errors', async () => {
  const { measure, sent, database } = await startMonitor();
  const heard = () => sent.map(({ name, status }) => `${name} ${status}`);
  database.ok = false;
  await measure(0.2, 5);
  expect(heard()).toEqual(['DatabaseConnectionIssues firing']);
  database.ok = true;
  await measure(0, 5);
  expect(heard().at(-1)).toBe('DatabaseConnectionIssues resolved');
  database.waiting = 9;
  await measure(0.2, 5);
  database.waiting = 0;
  await measure(0, 5);
  expect(heard()).toHaveLength(4);
  expect(heard().at(-1)).toBe('DatabaseConnectionIssues resolved');
  await measure(0.2, 3);
  expect(heard().at(-1)).toBe('HighErrorRate firing');
});
