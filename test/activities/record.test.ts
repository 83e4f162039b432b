import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { createActivities } from '../../activities/record.ts';
import type { Status } from '../../src/contracts/index.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startPostgres } from '../../src/embedded/postgres.ts';
import { startSupabase } from '../../src/embedded/supabase.ts';
import { endProcess } from '../../src/processes.ts';
import { createRecord } from '../../src/record.ts';
import { simulatedPolicy } from '../../activities/simulator.ts';
import { reviewOf } from '../../src/runbook/review.ts';
import { endedStatus } from '../support/ended.ts';
import { failsAsDeclared, refusesNonsense, serving } from './http-server.ts';
import { settings } from './settings.ts';

const stateDir = mkdtempSync(join(tmpdir(), 'holdfast-record-'));
chmodSync(stateDir, 0o755); // the user "postgres" must get in
let databaseUrl: string;
let supabase: Awaited<ReturnType<typeof startSupabase>>;

beforeAll(async () => {
  databaseUrl = (await startPostgres({ stateDir, port: await freePort() })).url;
  supabase = await startSupabase({ stateDir, port: await freePort(), databaseUrl });
}, 120_000);
afterAll(async () => {
  await endProcess(stateDir, 'supabase');
  await endProcess(stateDir, 'postgres');
  rmSync(stateDir, { recursive: true });
});

const keeper = (url: string, key: string) =>
  createActivities({ RECORD_SUPABASE_URL: url, RECORD_SUPABASE_SECRET_KEY: key }, settings);
const record = (status: Status) => keeper(supabase.url, supabase.secretKey).record(status);
const kept = () => createRecord({ url: supabase.url, key: supabase.secretKey });

const opened = { at: '2026-11-24T09:00:00.000Z', kind: 'opened', what: 'opened by alert:sentry' };
const status = (runId: string, changes: Partial<Status> = {}): Status => ({
  workflowId: 'incident.shop.high-error-rate',
  runId,
  runbook: 'high-error-rate',
  title: 'High error rate',
  incident: {
    service: 'shop',
    environment: 'production',
    severity: 'critical',
    summary: 'error ratio 32 %',
    openedAt: '2026-11-24T09:00:00.000Z',
    openedBy: 'alert:sentry',
  },
  phase: 'diagnosing',
  paused: false,
  doing: 'diagnosing',
  next: 'propose',
  howToStop: 'send stop',
  waitingFor: [],
  alerts: { distinct: 1, deliveries: 3, resolved: false },
  findings: [{ check: 'error-patterns', verdict: 'bad', summary: 'TypeError is new in v2' }],
  timeline: [opened],
  revision: 1,
  ...changes,
});

it('keeps an incident with its timeline', async () => {
  await record(status('kept'));
  await expect(kept().incident('incident.shop.high-error-rate', 'kept')).resolves.toMatchObject({
    service: 'shop',
    environment: 'production',
    phase: 'diagnosing',
    openedAt: '2026-11-24T09:00:00.000Z',
    closedAt: undefined,
    outcome: undefined,
    alerts: { distinct: 1, deliveries: 3 },
    findings: [{ check: 'error-patterns', verdict: 'bad' }],
    timeline: [opened],
  });
});

it('holds the newest revision, whatever the order of arrival', async () => {
  const closed = { at: '2026-11-24T09:12:00.000Z', kind: 'closed', what: 'closed as mitigated', who: 'responder' };
  const last = status('order', { revision: 9, phase: 'closed', outcome: 'mitigated', timeline: [opened, closed] });
  const earlier = Array.from({ length: 8 }, (_, i) => status('order', { revision: i + 1 }));
  await Promise.all([...earlier.slice(4), last, ...earlier.slice(0, 4), last].map(record));
  await record(status('order', { revision: 9, phase: 'paused', timeline: [] }));
  await expect(kept().incident(last.workflowId, 'order')).resolves.toMatchObject({
    revision: 9,
    phase: 'closed',
    outcome: 'mitigated',
    closedAt: closed.at,
    timeline: [opened, closed],
  });
});

it('keeps text that Postgres would refuse, without what it refuses', async () => {
  const hostile = `a\u0000b \ud800 '; drop table incidents; -- \\u0000 🔥`;
  await record(status('text', { note: hostile, timeline: [{ ...opened, what: hostile }] }));
  const text = `ab \ufffd '; drop table incidents; -- \\u0000 🔥`;
  await expect(kept().incident('incident.shop.high-error-rate', 'text')).resolves.toMatchObject({
    note: text,
    timeline: [{ what: text }],
  });
});

it('lists the newest incidents first and knows no other', async () => {
  await record(status('newest', { incident: { ...status('x').incident, openedAt: '2026-11-24T10:00:00.000Z' } }));
  const [first, ...rest] = await kept().recentIncidents(2);
  expect(first).toMatchObject({ runId: 'newest', openedAt: '2026-11-24T10:00:00.000Z' });
  expect(rest).toHaveLength(1);
  await expect(kept().incident('incident.shop.high-error-rate', 'none')).resolves.toBeUndefined();
});

it('keeps a review whole, the newest revision of it', async () => {
  const review = reviewOf(endedStatus({ note: 'a\u0000b' }), simulatedPolicy);
  const reviews = keeper(supabase.url, supabase.secretKey);
  await Promise.all([3, 1, 2].map((revision) => reviews.recordReview({ ...review, revision })));
  await expect(kept().recentReviews(9)).resolves.toEqual([{ ...review, note: 'ab', revision: 3 }]);
  await expect(kept().review(review.id)).resolves.toMatchObject({ id: review.id, revision: 3 });
  await expect(kept().review('review.none')).resolves.toBeUndefined();
  const outsider = createRecord({ url: supabase.url, key: supabase.publishableKey });
  await expect(outsider.saveReview(review)).rejects.toMatchObject({ type: 'NotAllowed' });
  await expect(outsider.recentReviews(9).catch(() => [])).resolves.toEqual([]);
});

it('keeps the days of an objective: of each what was measured for longest, and those of others apart', async () => {
  const of = { service: 'shop', environment: 'production', objective: 'uptime' };
  const day = (on: string, seconds: number) => ({ ...of, day: on, total: seconds / 15, bad: 1, seconds });
  const objectives = keeper(supabase.url, supabase.secretKey);
  await objectives.recordObjectives([day('2026-11-23', 86_400), day('2026-11-24', 3600)]);
  await objectives.recordObjectives([day('2026-11-24', 7200), { ...day('2026-11-24', 60), environment: 'staging' }]);
  await objectives.recordObjectives([day('2026-11-24', 900)]); // of a monitor that has begun anew
  await expect(kept().objectiveDays({ ...of, since: '2026-11-01' })).resolves.toEqual([
    day('2026-11-23', 86_400),
    day('2026-11-24', 7200),
  ]);
  const outsider = createRecord({ url: supabase.url, key: supabase.publishableKey });
  await expect(outsider.saveObjectives([])).rejects.toMatchObject({ type: 'NotAllowed' });
});

it('lets nobody but the service write or read', async () => {
  const outsider = createRecord({ url: supabase.url, key: supabase.publishableKey });
  await expect(outsider.save(status('outsider'))).rejects.toMatchObject({ type: 'NotAllowed' });
  await expect(outsider.recentIncidents(9).catch(() => [])).resolves.toEqual([]);
  const wrongKey = createRecord({ url: supabase.url, key: 'sb_secret_wrong' });
  await expect(wrongKey.save(status('x'))).rejects.toMatchObject({ type: 'NotAllowed', nonRetryable: true });
});

it('takes the object itself too, as a Supabase project passes it', async () => {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const call = 'select public.record_incident($1::jsonb) as recorded';
    const { rows } = await client.query<{ recorded: boolean }>(call, [JSON.stringify(status('object'))]);
    expect(rows).toEqual([{ recorded: true }]);
  } finally {
    await client.end();
  }
});

it('says what to do where the migrations were not applied', async () => {
  await using empty = await serving(() => ({ status: 404, body: { code: 'PGRST202', message: 'no such function' } }));
  await expect(keeper(empty.url, 'sb_secret_x').record(status('x'))).rejects.toMatchObject({
    type: 'NotConfigured',
    message: expect.stringContaining('apply supabase/migrations') as string,
  });
});

failsAsDeclared((url) => keeper(url, 'sb_secret_x').record(status('x')));
refusesNonsense((url) => keeper(url, 'sb_secret_x').record(status('x')));

it('is Unavailable, for another try, while the database is down', async () => {
  await endProcess(stateDir, 'postgres');
  await expect(record(status('down'))).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
});
