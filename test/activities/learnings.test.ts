import { Client, Connection } from '@temporalio/client';
import { defineSearchAttributeKey, TypedSearchAttributes } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createActivities } from '../../activities/learnings.ts';
import { simulatedPolicy } from '../../activities/simulator.ts';
import { learnedOf, type Resemblances, type Review } from '../../src/contracts/index.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { fingerprintOf } from '../../src/runbook/learnings.ts';
import { reviewOf, withCause } from '../../src/runbook/review.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { endedStatus } from '../support/ended.ts';
import { until } from '../support/until.ts';
import { serving, type Answer } from './http-server.ts';
import { settings } from './settings.ts';

const { workflowId, findings, runbook } = endedStatus();
const of = { service: 'shop', environment: 'production', runbook, fingerprint: fingerprintOf(findings) };
const stateDir = scratchFolder();
let connection: Connection;

const reviewed = (runId: string, day: string): Review => {
  const review = reviewOf(endedStatus({ runId }), simulatedPolicy);
  return { ...review, times: { ...review.times, detectedAt: `${day}T09:04:00.000Z` } };
};
const newer = reviewed('newer', '2026-11-24');
const older = reviewed('older', '2026-06-01');
const said = { by: 'lead', cause: 'the price was renamed' };

beforeAll(async () => {
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  connection = await Connection.connect({ address });
  const keyword = (name: string) => defineSearchAttributeKey(name, 'KEYWORD');
  await new Client({ connection }).workflow.start('postIncident', {
    workflowId: newer.id,
    taskQueue: 'nobody',
    memo: { learned: learnedOf(withCause(newer, said, '2026-11-25T09:00:00.000Z')) },
    typedSearchAttributes: new TypedSearchAttributes([
      { key: keyword('HoldfastService'), value: of.service },
      { key: keyword('HoldfastEnvironment'), value: of.environment },
    ]),
  });
  await until(async () => (await resembling(connection)).past.length > 0);
}, 60_000);
afterAll(async () => {
  await connection.close();
  await removeScratch(stateDir);
});

/** What an incident is told, by this connection to Temporal and the record at `url`. */
function resembling(to: Connection, url?: string): Promise<Resemblances> {
  const configured = { RECORD_SUPABASE_URL: url, RECORD_SUPABASE_SECRET_KEY: 'sb_secret_test' };
  const activities = createActivities(url === undefined ? {} : configured, settings);
  const told = { client: new Client({ connection: to }), logger: new DefaultLogger('ERROR') };
  return new MockActivityEnvironment({}, told).run(() => activities.resembling(of));
}
const rows = (...reviews: Review[]): Answer => ({ body: reviews.map((review) => ({ review })) });
const inTemporal = { at: newer.times.detectedAt, cause: { what: said.cause, state: 'confirmed' } };
const inRecord = { at: older.times.detectedAt, cause: { what: 'the release v2', state: 'suspected' } };

it('remembers by the record what Temporal has forgotten; what both know is told once, as Temporal has it', async () => {
  const unlike = { ...reviewed('unlike', '2026-11-20'), fingerprint: ['check:disk'] };
  const asked: URLSearchParams[] = [];
  await using record = await serving(({ url }) => {
    asked.push(url.searchParams);
    return rows(unlike, older, newer);
  });
  const { past, unknown } = await resembling(connection, record.url);
  expect(past).toMatchObject([
    { workflowId, likeness: 1, ...inTemporal },
    { workflowId, likeness: 1, ...inRecord },
  ]);
  expect(unknown).toBeUndefined();
  expect(Object.fromEntries(asked[0] ?? [])).toMatchObject({ service: 'eq.shop', runbook: `eq.${runbook}` });
});

it('tells what the one knows where the other is away, and says which; where both are, it is Unavailable', async () => {
  const answer = rows(older);
  await using record = await serving(() => answer);
  const nowhere = Connection.lazy({ address: '127.0.0.1:1', interceptors: [] });
  const remembered = await resembling(nowhere, record.url);
  expect(remembered.past).toMatchObject([inRecord]);
  expect(remembered.unknown).toMatch(/^Temporal: /);
  await expect(resembling(nowhere)).rejects.toMatchObject({ type: 'Unavailable' });

  answer.status = 503;
  const kept = await resembling(connection, record.url);
  expect(kept.past).toMatchObject([inTemporal]);
  expect(kept.unknown).toMatch(/^record: /);
  await expect(resembling(nowhere, record.url)).rejects.toMatchObject({ type: 'Unavailable' });
  await nowhere.close();
});
