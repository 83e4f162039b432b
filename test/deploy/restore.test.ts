import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createActivities } from '../../activities/record.ts';
import { simulatedPolicy } from '../../activities/simulator.ts';
import { openAudit, readAudit, verifyAudit } from '../../src/audit.ts';
import { postgresClient } from '../../src/embedded/postgres-client.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startPostgres } from '../../src/embedded/postgres.ts';
import { startSupabase } from '../../src/embedded/supabase.ts';
import { openInbox } from '../../src/gateway/inbox.ts';
import { alertOf } from '../../src/gateway/source.ts';
import { openJournal } from '../../src/journal.ts';
import { openPages, readPages, storePage } from '../../src/pages.ts';
import { runCommand } from '../../src/processes.ts';
import { createRecord } from '../../src/record.ts';
import { reviewOf } from '../../src/runbook/review.ts';
import { settings } from '../activities/settings.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { endedStatus } from '../support/ended.ts';
import { textOf } from './compose.ts';

jest.setTimeout(300_000);
const scratch = scratchFolder();
const [before, after, backup] = ['before', 'after', 'backup'].map((name) => join(scratch, name)) as [
  string,
  string,
  string,
];
const platforms = ['one', 'other'].map((name) => join(scratch, name));
afterAll(async () => {
  for (const platform of platforms) await removeScratch(platform);
  await removeScratch(scratch);
});

const scope = { service: 'shop', environment: 'production' };
const [backUp = '', restore = '', forget = '', erase = ''] = [
  ...(textOf('docs/operations.md').split('## Backup and restore')[1] ?? '').matchAll(/```sh\n([\s\S]*?)```/g),
].map(([, block]) => block ?? '');

async function startRecord(stateDir: string) {
  mkdirSync(stateDir);
  chmodSync(stateDir, 0o755); // the user "postgres" must get in
  const { url: databaseUrl } = await startPostgres({ stateDir, port: await freePort() });
  const { url, secretKey: key } = await startSupabase({ stateDir, port: await freePort(), databaseUrl });
  return {
    databaseUrl,
    record: createRecord({ url, key }),
    keeper: createActivities({ RECORD_SUPABASE_URL: url, RECORD_SUPABASE_SECRET_KEY: key }, settings),
  };
}

const page = {
  key: 'page',
  at: '2026-11-24T09:00:00.000Z',
  person: 'responder',
  ...scope,
  level: 'development-team',
  severity: 'critical',
  subject: 'Roll shop back',
  text: 'May I?',
  workflowId: 'incident.shop.high-error-rate',
  runId: 'run',
  digest: null,
  code: 'ABCD-EFGH',
  expiresAt: null,
};
const arrival = (key: string, workflowId: string) => ({
  source: 'test',
  raw: Buffer.from(key),
  alerts: [
    {
      alert: alertOf({ source: 'test', key, name: 'HighErrorRate', labels: {} }),
      target: { ...scope, type: 'highErrorRate', workflowId },
    },
  ],
});

it('brings record, inbox, pages, journals and audit trail back as they were, erases a person and forgets what is old, by the commands of docs/operations.md', async () => {
  const [one, other] = [await startRecord(platforms[0] ?? ''), await startRecord(platforms[1] ?? '')];
  const run = (block: string, stateDir: string, url: string) =>
    runCommand({
      command: 'sh',
      args: ['-euc', block],
      env: { PATH: path, BACKUP: backup, HOLDFAST_STATE_DIR: stateDir, RECORD_DB_URL: url },
    });
  const path = `${await postgresClient()}:${process.env['PATH'] ?? ''}`;

  const ended = endedStatus();
  const namesake = { at: ended.timeline[0]?.at ?? '', kind: 'note', who: 'responder-lee', what: 'I looked' } as const;
  const status = { ...ended, timeline: [...ended.timeline, namesake] };
  const review = { ...reviewOf(status, simulatedPolicy), revision: 1 };
  await one.keeper.record(status);
  await one.keeper.recordReview(review);
  const inbox = openInbox(before);
  await inbox.store(arrival('sent', 'incident.shop.sent'));
  const batch = inbox.cut('incident.shop.sent');
  inbox.settle(batch?.batch.batchId ?? '', { how: 'reached', runId: 'run' });
  await inbox.store(arrival('waits', 'incident.shop.waits'));
  const pages = openPages(before);
  storePage(pages, page);
  const audit = openAudit(before);
  audit.write({ who: 'responder', via: 'cli', what: 'approve', on: status.workflowId, result: 'done' });
  const journal = openJournal(before, 'flags', scope);
  await journal.begin({ key: 'switch-off', fence: 7 });
  await journal.done('switch-off', 'done');

  await run(backUp, before, one.databaseUrl); // all of it is open
  await inbox.store(arrival('later', 'incident.shop.later'));
  await run(restore, after, other.databaseUrl);

  const { workflowId, runId } = status;
  expect(await other.record.incident(workflowId, runId)).toEqual(await one.record.incident(workflowId, runId));
  expect(await other.record.review(review.id)).toEqual(await one.record.review(review.id));
  await other.keeper.record({ ...status, revision: status.revision + 1, note: 'it goes on' });
  expect(await other.record.incident(workflowId, runId)).toMatchObject({ note: 'it goes on' });
  const restored = openInbox(after);
  expect(restored.waiting()).toEqual(['incident.shop.waits']);
  expect(await restored.store(arrival('sent', 'incident.shop.sent'))).toMatchObject({ repeats: 1 });
  expect(readPages(after)).toEqual([page]);
  expect(statSync(join(after, 'pages.sqlite')).mode & 0o777).toBe(0o600);
  expect(readAudit(after, 9)).toEqual(readAudit(before, 9));
  expect(verifyAudit(after)).toEqual(verifyAudit(before));
  await expect(openJournal(after, 'flags', scope).begin({ key: 'switch-off', fence: 7 })).resolves.toMatchObject({
    stage: 'done',
  });
  for (const each of [inbox, restored, pages, audit]) each.close();

  const recorded = async () =>
    JSON.stringify([await other.record.incident(workflowId, runId), await other.record.review(review.id)]);
  expect(await recorded()).toMatch(/\bresponder\b/);
  await run(`PERSON=responder\n${erase}`, after, other.databaseUrl);
  expect(await recorded()).toMatch(/\berased\b/);
  expect(await recorded()).not.toMatch(/\bresponder\b(?!-lee)/);
  expect(await recorded()).toContain('responder-lee');
  await run(`BEFORE=2000-01-01\n${forget}`, after, other.databaseUrl);
  expect(await other.record.review(review.id)).toBeDefined();
  await run(`BEFORE=2100-01-01\n${forget}`, after, other.databaseUrl);
  expect(await other.record.review(review.id)).toBeUndefined();
  expect(await other.record.incident(workflowId, runId)).toBeUndefined();
});
