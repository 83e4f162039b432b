import type { Status } from '../../src/contracts/index.ts';

const at = (minute: number): string => new Date(Date.parse('2026-11-24T09:00:00Z') + minute * 60_000).toISOString();

/** The last status of an incident whose release was rolled back, with the timeline that it told. */
export const endedStatus = (change: Partial<Status> = {}): Status => ({
  workflowId: 'incident.shop.high-error-rate',
  runId: '11111111-2222-3333-4444-555555555555',
  runbook: 'high-error-rate',
  title: 'High error rate',
  incident: {
    service: 'shop',
    environment: 'production',
    severity: 'critical',
    summary: '20 % of the requests fail',
    openedAt: at(4),
    openedBy: 'alert:sentry',
  },
  phase: 'closed',
  paused: false,
  doing: 'Closed as mitigated.',
  next: 'Nothing.',
  howToStop: '-',
  waitingFor: [],
  alerts: { distinct: 1, deliveries: 3, resolved: false, since: at(1) },
  findings: [
    {
      check: 'error patterns',
      verdict: 'bad',
      summary: '1 pattern, 1 new in the running release: 40 × TypeError: no price',
    },
    { check: 'recent deployments', verdict: 'bad', summary: 'v2 runs since 08:50, still in its bake window' },
    { check: 'load', verdict: 'unknown', summary: 'could not be read: metrics are away' },
  ],
  proposal: {
    id: 'incident.shop.high-error-rate/1#1',
    digest: '0'.repeat(64),
    summary: 'Roll shop back from v2 to v1',
    why: ['new in v2: 40 × TypeError: no price'],
    undo: 'return the traffic to v2',
    risk: 'medium',
    action: { kind: 'roll-back', service: 'shop', environment: 'production', from: 'v2', to: 'v1' },
    expiresAt: at(60),
  },
  attempts: [
    {
      kind: 'roll-back',
      target: 'v2',
      summary: 'Roll shop back from v2 to v1',
      at: at(9),
      result: 'helped',
      endedAt: at(13),
    },
  ],
  outcome: 'mitigated',
  note: 'Roll shop back from v2 to v1',
  timeline: [
    { at: at(4), kind: 'opened', what: 'Incident opened: 20 % of the requests fail', who: 'alert:sentry' },
    { at: at(4), kind: 'checked', what: 'error patterns: bad: 1 pattern' },
    { at: at(4), kind: 'proposed', what: 'Proposed: Roll shop back from v2 to v1' },
    { at: at(4), kind: 'paged', what: 'Asked the development team (responder) to decide within 5 minutes' },
    { at: at(7), kind: 'acknowledged', what: 'Acknowledged', who: 'responder' },
    { at: at(8), kind: 'approved', what: 'Approved: Roll shop back from v2 to v1', who: 'lead via cli' },
    { at: at(9), kind: 'acting', what: 'Begun: Roll shop back from v2 to v1', who: 'lead' },
    { at: at(9), kind: 'acted', what: 'v1 has the traffic' },
    { at: at(13), kind: 'verified', what: 'It holds: Roll shop back from v2 to v1' },
    { at: at(14), kind: 'closed', what: 'Closed as mitigated: Roll shop back from v2 to v1' },
  ],
  revision: 40,
  ...change,
});
