/** Runs of runbooks in skipped time, each in a process of its own. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  Drilled,
  DRILL,
  type DrillOrder,
  type DrillReport,
  type Outcome,
  type Scope,
  type Settings,
} from './contracts/index.ts';
import { runCommand } from './processes.ts';

const PROGRAM = fileURLToPath(new URL('../workers/drill.ts', import.meta.url));
const LONGEST_MS = 180_000;
const DECIDED_AFTER_MS = 120_000;
const MOST_PROPOSALS = 8;
const LINES = 200;
const LINE = 300;
/** How a drill in which everything is approved may end; the simulated service is one that a rollback mends. */
const PASSES: Outcome[] = ['mitigated', 'handed-over', 'resolved'];

/** The first person who may approve, if there is one. */
export const approverOf = ({ people }: Settings): string | undefined =>
  people.find(({ roles }) => roles.includes('approver') || roles.includes('admin'))?.name;

/** A drill over simulated systems in which `person` approves all that is proposed; nobody answers where there is none. */
export function drillOf(of: {
  scope: Scope;
  type: string;
  runbook: string;
  config: string;
  person: string | undefined;
}): DrillOrder {
  const { scope, type, runbook, config, person } = of;
  const decisions = Array.from({ length: person === undefined ? 0 : MOST_PROPOSALS }, (_, proposal) => ({
    proposal,
    verdict: 'approved' as const,
    person: person ?? '',
    afterMs: DECIDED_AFTER_MS,
  }));
  const incident = {
    ...scope,
    severity: 'critical' as const,
    summary: `a drill of ${runbook}`,
    openedAt: new Date().toISOString(),
    openedBy: DRILL,
  };
  return { type, incident, config, recorded: {}, decisions, acts: true };
}

/** Run it to its end, for as long as it takes but not for ever. @throws Error with what it wrote. */
export async function runDrill(order: DrillOrder, signal?: AbortSignal): Promise<Drilled> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-drill-'));
  const file = join(folder, 'order.json');
  try {
    await writeFile(file, JSON.stringify({ ...order, config: resolve(order.config) }));
    const { stdout } = await runCommand({
      command: process.execPath,
      args: [PROGRAM, file],
      timeoutMs: LONGEST_MS,
      ...(signal !== undefined && { signal }),
    });
    return Drilled.parse(JSON.parse(stdout));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Whether the runbook did what it is for. */
export const reportOf = ({ status: { outcome = 'failed', note = '', timeline } }: Drilled): DrillReport => ({
  passed: PASSES.includes(outcome),
  note: `${outcome}: ${note}`.slice(0, 1000),
  timeline: timeline.slice(0, LINES).map((line) => ({ ...line, what: line.what.slice(0, LINE) })),
});
