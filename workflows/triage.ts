/**
 * Runbook: triage. An alert that no route and no runbook knows is never dropped: it goes to a person.
 * Trigger   any unknown alert.
 * Mitigate  nothing; a person is paged and the incident is handed over.
 */
import { proxyLocalActivities } from '@temporalio/workflow';
import type { Health } from '../src/contracts/ports.ts';
import { defineRunbook, diagnostic, judgeHealth } from '../src/runbook/index.ts';

const { httpHealth } = proxyLocalActivities<Health>(diagnostic);

export const triage = defineRunbook({ title: 'Triage', alerts: [] }, async function triage(run) {
  const { service, environment } = run.incident;
  await run.check(
    'application health',
    () => httpHealth({ service, environment }),
    judgeHealth(run.policy.alertAt.p95Ms),
  );
  return { outcome: 'handed-over', note: 'no runbook knows this alert: a person must look' };
});
