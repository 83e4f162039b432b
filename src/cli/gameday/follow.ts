import { setTimeout as sleep } from 'node:timers/promises';
import type { Finding, Proposal, Status, TimelineEntry } from '../../contracts/index.ts';
import { uiLink } from '../../operations/temporal.ts';
import type { Context } from '../context.ts';
import { watchRun } from '../watch.ts';

const POLL_MS = 400;
const ALERT_WITHIN_MS = 120_000;

export interface GameDayReport {
  scenario: string;
  incident: { workflowId: string; runId: string };
  timeline: Pick<TimelineEntry, 'at' | 'what'>[];
  findings: Finding[];
  proposal: Proposal | undefined;
  decision: { by: string[]; via: string } | undefined;
  outcome: string | undefined;
  releases: { before: string; after: string | undefined };
  timings: Record<
    'alertToIncidentMs' | 'incidentToProposalMs' | 'approvalToRolledBackMs' | 'rolledBackToVerifiedMs',
    number | undefined
  >;
}

/** Show an incident that opens since a moment as it grows, approve where asked to, until it has ended. */
export async function follow(
  context: Context,
  of: { workflowId: string; since: number; approveAs?: string | undefined; say: (line: string) => void },
): Promise<Status> {
  const { workflowId, since, say } = of;
  const runId = await opened(context, workflowId, since);
  say(`The incident is open: ${uiLink(context, { workflowId, runId })}`);
  return await watchRun(context, { ...of, runId });
}

/** The run that opened since the bad release began to ship. */
async function opened({ client }: Context, workflowId: string, since: number): Promise<string> {
  const deadline = Date.now() + ALERT_WITHIN_MS;
  while (Date.now() < deadline) {
    const found = await client.workflow
      .getHandle(workflowId)
      .describe()
      .catch(() => undefined);
    if (found !== undefined && found.startTime.getTime() >= since) return found.runId;
    await sleep(POLL_MS);
  }
  throw new Error(
    `no incident opened within ${ALERT_WITHIN_MS / 1000} s: look at the logs of gateway and worker in the state folder`,
  );
}

/** What a game day was, as one JSON object; `before` is the release that took the traffic when it struck. */
export function report(scenario: string, before: string, status: Status): GameDayReport {
  const { workflowId, runId, timeline, findings, proposal, decision, outcome } = status;
  const at = (kind: string): number | undefined => {
    const entry = timeline.find((one) => one.kind === kind);
    return entry === undefined ? undefined : Date.parse(entry.at);
  };
  const between = (from: number | undefined, to: number | undefined): number | undefined =>
    from === undefined || to === undefined ? undefined : to - from;
  const since = status.alerts.since === undefined ? undefined : Date.parse(status.alerts.since);
  const action = proposal?.action;
  return {
    scenario,
    incident: { workflowId, runId },
    timeline: timeline.map((entry) => ({ at: entry.at, what: entry.what })),
    findings,
    proposal,
    decision: decision === undefined ? undefined : { by: decision.by, via: decision.via },
    outcome,
    releases: { before, after: outcome === 'mitigated' && action?.kind === 'roll-back' ? action.to : before },
    timings: {
      alertToIncidentMs: between(since, at('opened')),
      incidentToProposalMs: between(at('opened'), at('proposed')),
      approvalToRolledBackMs: between(at('approved'), at('acted')),
      rolledBackToVerifiedMs: between(at('acted'), at('verified')),
    },
  };
}
