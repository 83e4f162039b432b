/** How fresh the runbooks of a service are: when each was last needed or tried, and what a drill that fails leaves behind. */
import { msToNumber } from '@temporalio/common/lib/time.js';
import { DRILL, type DrillReport, type Freshness, type Scope, type Status } from '../contracts/index.ts';
import { kebab, type CatalogueEntry } from './catalogue.ts';

const HOUR = 9;
const DAY_MS = 86_400_000;
/** A drill that failed is tried again after this. */
const AGAIN_MS = 7 * DAY_MS;

/** The next nine o'clock, UTC, after a moment (ms since the epoch). */
export function nextCheck(now: number): number {
  const at = new Date(now).setUTCHours(HOUR, 0, 0, 0);
  return at > now ? at : at + DAY_MS;
}

const later = (one: string | undefined, other: string | undefined): string | undefined =>
  one !== undefined && (other === undefined || one > other) ? one : other;

/** Neither needed nor tried with success for so long. */
export function isStale({ ranAt, drilledAt }: Freshness, staleAfter: string, now: number): boolean {
  const newest = later(ranAt, drilledAt);
  return newest === undefined || now - Date.parse(newest) >= msToNumber(staleAfter);
}

/** Stale, and not tried in vain a short while ago. */
export const isDue = (one: Freshness, staleAfter: string, now: number): boolean =>
  isStale(one, staleAfter, now) && (one.last === undefined || now - Date.parse(one.last.at) >= AGAIN_MS);

/** The runbooks that there are now, each with what was known of it. */
export const known = (before: Freshness[], now: Pick<CatalogueEntry, 'name' | 'type' | 'title'>[]): Freshness[] =>
  now.map(({ name, type, title }) => ({
    ...before.find(({ runbook }) => runbook === name),
    runbook: name,
    type,
    title,
  }));

/** With when each began last, by workflow id; what is older than Temporal remembers stays known. */
export const withRuns = (all: Freshness[], idOf: (runbook: string) => string, runs: Record<string, string>) =>
  all.map((one): Freshness => {
    const ranAt = later(runs[idOf(one.runbook)], one.ranAt);
    return { ...one, ...(ranAt !== undefined && { ranAt }) };
  });

export const withDrill = (one: Freshness, { passed, note }: DrillReport, at: string): Freshness => ({
  ...one,
  ...(passed && { drilledAt: at }),
  last: { at, passed, note, ...(one.last?.review !== undefined && !passed && { review: one.last.review }) },
});

/** A drill that failed, as what is reviewed: its action item has an owner, a due date and reminders like any other. */
export function failedDrill(
  { service, environment }: Scope,
  { runbook, title, type }: Freshness,
  { note, timeline }: DrillReport,
  { runId, at }: { runId: string; at: string },
): Status {
  const line = (kind: string, what: string) => ({ at, kind, what });
  const shown = timeline.map((one) => ({ ...one, kind: 'drill', what: `in the drill, ${one.at}: ${one.what}`, at }));
  return {
    workflowId: `drill.${service}.${runbook}`,
    runId,
    runbook: kebab(type),
    title: `Drill: ${title}`,
    incident: {
      service,
      environment,
      severity: 'info',
      summary: `A drill of ${runbook} in skipped time has failed; nothing real was touched`,
      openedAt: at,
      openedBy: DRILL,
    },
    phase: 'closed',
    paused: false,
    doing: 'Closed.',
    next: '',
    howToStop: '',
    waitingFor: [],
    alerts: { distinct: 0, deliveries: 0, resolved: true },
    findings: [],
    outcome: 'failed',
    note,
    timeline: [line('opened', `Drill of ${runbook}`), ...shown, line('closed', `The drill failed: ${note}`)],
    revision: 1,
  };
}
