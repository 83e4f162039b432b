/** What a worker writes into the audit trail: what no gateway sees. */
import { MockActivityEnvironment } from '@temporalio/testing';
import type { WorkflowInfo } from '@temporalio/workflow';
import { openAudit, readAudit, verifyAudit } from '../../src/audit.ts';
import { failure } from '../../src/errors.ts';
import { createRedaction } from '../../src/redaction.ts';
import { auditRunners, auditWhatIsDone } from '../../workers/auditing.ts';
import { approval } from '../activities/local-releases-rig.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';

const SECRET = 'a-secret-of-the-provider';
const DIGEST = 'd'.repeat(64);
let stateDir: string;
beforeEach(() => (stateDir = scratchFolder()));
afterEach(() => removeScratch(stateDir));

/** What the trail says once these activities have ended in this way, the oldest first. */
async function told(...ran: { activityType: string; argument: object; ends: () => unknown }[]) {
  const audit = openAudit(stateDir);
  const interceptors = [auditWhatIsDone({ audit, log: console.error }, createRedaction([SECRET]))];
  for (const { activityType, argument, ends } of ran) {
    const activity = new MockActivityEnvironment(
      { activityType, workflowExecution: { workflowId: 'incident.shop.high-error-rate', runId: 'run' } },
      { interceptors },
    );
    await activity.run(async () => ends(), argument).catch(() => undefined);
  }
  audit.close();
  expect(verifyAudit(stateDir).fault).toBeUndefined();
  return readAudit(stateDir, 10)
    .reverse()
    .map(({ who, via, what, on, result, detail }) => `${who} ${via} ${what} ${on.split('.')[0]}: ${result}, ${detail}`);
}

const rollBack = {
  ...approval('run#1', { kind: 'roll-back', service: 'shop', environment: 'production', from: 'v2', to: 'v1' }, 1),
  by: ['responder', 'lead'],
};

it('has each effect with those who decided it, also what failed and what was undone, and no secret of it', async () => {
  expect(
    await told(
      {
        activityType: 'rollBack',
        argument: rollBack,
        ends: () => Promise.reject(failure('Unavailable', `no answer to ${SECRET}`)),
      },
      { activityType: 'rollBack', argument: rollBack, ends: () => ({ changed: true, summary: 'v1 serves' }) },
      { activityType: 'undoRollBack', argument: rollBack, ends: () => ({ changed: true, summary: 'v2 serves' }) },
      {
        activityType: 'migrate',
        argument: { service: 'shop' },
        ends: () => ({ changed: true, summary: '1 migration' }),
      },
    ),
  ).toEqual([
    'responder, lead worker roll-back incident: failed, no answer to [removed]',
    'responder, lead worker roll-back incident: done, v1 serves',
    'responder, lead worker undo roll-back incident: done, v2 serves',
    'holdfast worker migrate incident: done, 1 migration',
  ]);
});

it('has what was granted and what was refused, and not that it waits for another change', async () => {
  const argument = {
    service: 'shop',
    environment: 'production',
    key: 'run#1',
    holder: 'incident/run',
    kind: 'roll-back',
    summary: 'Roll shop back',
  };
  const answer = (grant: object) => ({ activityType: 'requestChange', argument, ends: () => grant });
  expect(
    await told(
      answer({ granted: false, because: 'busy', reason: 'a deployment runs' }),
      answer({ granted: false, because: 'kill-switch', reason: 'the kill switch is on' }),
      answer({ granted: true, fence: 4 }),
    ),
  ).toEqual([
    'holdfast worker grant roll-back incident: refused, production: the kill switch is on',
    'holdfast worker grant roll-back incident: done, production: Roll shop back',
  ]);
});

it('has the one-time codes that are shown, right and wrong, and never the code', async () => {
  const shown = (code: string, ends: boolean) => ({
    activityType: 'checkCode',
    argument: { workflowId: 'incident.shop.high-error-rate', runId: 'run', digest: DIGEST, person: 'responder', code },
    ends: () => ends,
  });
  expect(await told(shown('WRON-GONE', false), shown('7KQM-2XHD', true))).toEqual([
    'responder worker one-time code incident: refused, proposal dddddddd',
    'responder worker one-time code incident: done, proposal dddddddd',
  ]);
});

it('writes nothing of what only reads', async () => {
  expect(await told({ activityType: 'errorRatio', argument: { service: 'shop' }, ends: () => ({ ratio: 0 }) })).toEqual(
    [],
  );
});

it('has what a runner has done, whose own trail lies elsewhere, with no secret of it', () => {
  const audit = openAudit(stateDir);
  const { effectEnded } = auditRunners({ audit, log: console.error }, createRedaction([SECRET])).runners;
  const run = { workflowId: 'incident.shop.high-error-rate', runId: 'run' } as WorkflowInfo;
  const effect = { runner: 'shop-production', by: ['responder', 'lead'], what: 'roll-back' };
  void effectEnded.fn(run, { ...effect, result: 'failed', detail: `no answer to ${SECRET}` });
  void effectEnded.fn(run, { ...effect, by: undefined, what: 'migrate', result: 'done', detail: '1 migration' });
  audit.close();
  expect(effectEnded.callDuringReplay).toBe(false);
  expect(verifyAudit(stateDir)).toEqual({ entries: 2 });
  const on = 'incident.shop.high-error-rate/run';
  const via = 'runner shop-production';
  expect(readAudit(stateDir, 10).reverse()).toMatchObject([
    { who: 'responder, lead', via, what: 'roll-back', on, result: 'failed', detail: 'no answer to [removed]' },
    { who: 'holdfast', via, what: 'migrate', on, result: 'done', detail: '1 migration' },
  ]);
});
