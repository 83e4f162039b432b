import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Finding, Proposal, Settings, Status, TimelineEntry } from '../contracts/index.ts';
import { readPages } from '../pages.ts';
import { endProcess, runCommand, startProcess, writeWhole } from '../processes.ts';
import { incidentId } from '../runbook/index.ts';
import type { deployRelease, Watched } from '../../workflows/index.ts';
import { connect, statusOf, uiLink, usageError, type Context } from './context.ts';
import { decide, shortDigest } from './decide.ts';
import { ROOT } from './platform.ts';

const POLL_MS = 400;
const ALERT_WITHIN_MS = 120_000;

/** A game day drives real parts: which releases are shipped, and what is to come of it. */
export const SCENARIOS = {
  'high-error-rate': { service: 'shop', environment: 'production', good: 'v1', bad: 'v2', rate: 30 },
} as const;
export type Scenario = keyof typeof SCENARIOS;

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

/** @throws a usage error (exit code 2) when the scenario or the person is unknown; nothing has been started then. */
export function checkGameDay(scenario: string, approveAs: string | undefined, settings: Settings): Scenario {
  if (!(scenario in SCENARIOS))
    throw usageError(`there is no scenario "${scenario}"; there are: ${Object.keys(SCENARIOS).join(', ')}`);
  const names = settings.people.filter(({ roles }) => roles.includes('approver')).map(({ name }) => name);
  if (approveAs !== undefined && !names.includes(approveAs))
    throw usageError(`"${approveAs}" is nobody who may approve; the configuration has: ${names.join(', ')}`);
  return scenario as Scenario;
}

/** Ship a good and then a bad release under real traffic, and follow the incident to its end. The platform must be up. */
export async function runGameDay(
  scenario: Scenario,
  of: { approveAs?: string | undefined; say: (line: string) => void },
): Promise<GameDayReport> {
  const { say } = of;
  const { service, environment, good, bad, rate } = SCENARIOS[scenario];
  const context = await connect();
  const { config, settings } = context;
  const traffic = `traffic-${process.pid}`;
  try {
    await prepareShop(context);
    await endEarlier(context, incidentId(service, scenario), say);
    await deploy(context, { service, environment, ref: good, say });
    const url = settings.services.find(({ name }) => name === service)?.environments[environment]?.url ?? '';
    await startProcess({
      stateDir: config.HOLDFAST_STATE_DIR,
      name: traffic,
      command: process.execPath,
      args: ['examples/shop/traffic.ts', '--url', url, '--rate', String(rate)],
      cwd: ROOT,
    });
    say(`Visitors arrive: ${rate} requests per second at ${url}`);
    await calm(context, service, say);
    const since = Date.now(); // the alert may be quicker than the deployment, which drains the old release last
    await deploy(context, { service, environment, ref: bad, say });
    say(`${bad} is out, with a bug in its checkout. Waiting for the alert…`);
    const status = await follow(context, { workflowId: incidentId(service, scenario), since, ...of });
    return report(scenario, bad, status);
  } finally {
    await endProcess(config.HOLDFAST_STATE_DIR, traffic);
    await context.close();
  }
}

async function prepareShop({ config: { env, HOLDFAST_STATE_DIR: stateDir } }: Context): Promise<void> {
  const repository = env['SHOP_REPOSITORY'] ?? join(stateDir, 'shop', 'repository');
  await runCommand({ command: process.execPath, args: ['examples/shop/make-repository.ts', repository], cwd: ROOT });
  const flags = env['SHOP_FLAGS_FILE'] ?? join(stateDir, 'shop', 'flags.json');
  if (!existsSync(flags))
    await writeWhole(
      flags,
      JSON.stringify(
        {
          flags: {
            'express-checkout': { state: 'ENABLED', variants: { on: true, off: false }, defaultVariant: 'off' },
          },
        },
        null,
        2,
      ),
    );
}

async function endEarlier({ client }: Context, workflowId: string, say: (line: string) => void): Promise<void> {
  const handle = client.workflow.getHandle(workflowId);
  const { status } = await handle.describe().catch(() => ({ status: { name: 'NOT_FOUND' } }));
  if (status.name !== 'RUNNING') return;
  say('An incident of an earlier game day is still open; stopping it.');
  await handle.signal('stop', { by: 'gameday', text: 'a new game day begins' });
  await handle.result();
}

/** Wait until the monitor has seen the end of an earlier alert: what fires already is not raised again. */
async function calm({ client }: Context, service: string, say: (line: string) => void): Promise<void> {
  const monitor = client.workflow.getHandle(`monitor.${service}`);
  const deadline = Date.now() + ALERT_WITHIN_MS;
  for (let told = false; Date.now() < deadline; told = true) {
    const watched = await monitor.query<Watched[]>('watched');
    const firing = watched
      .flatMap(({ alerts }) => Object.values(alerts))
      .filter(({ firingSince }) => firingSince !== undefined);
    if (firing.length === 0) return;
    if (!told) say('Waiting until the monitor has seen that the earlier alert is over…');
    await sleep(POLL_MS);
  }
  throw new Error(`the alert of ${service} was still firing after ${ALERT_WITHIN_MS / 1000} s`);
}

async function deploy(
  { client, config }: Context,
  of: { service: string; environment: string; ref: string; say: (line: string) => void },
): Promise<void> {
  const { service, environment, ref, say } = of;
  const from = Date.now();
  say(`Releasing ${service} ${ref}…`);
  const { summary } = await client.workflow.execute<typeof deployRelease>('deployRelease', {
    workflowId: `deployment.${service}.${environment}`,
    taskQueue: config.HOLDFAST_TASK_QUEUE,
    args: [{ service, environment, ref }],
  });
  say(`Released ${ref} in ${((Date.now() - from) / 1000).toFixed(1)} s: ${summary}`);
}

async function follow(
  context: Context,
  of: { workflowId: string; since: number; approveAs?: string | undefined; say: (line: string) => void },
): Promise<Status> {
  const { workflowId, since, say } = of;
  const runId = await opened(context, workflowId, since);
  say(`The incident is open: ${uiLink(context.config, { workflowId, runId })}`);
  let shown = 0;
  let asked: string | undefined;
  for (;;) {
    const status = await statusOf(context, workflowId, runId).catch(() => undefined);
    if (status === undefined) {
      await sleep(POLL_MS); // no worker answers at this moment
      continue;
    }
    for (const { at, what, who } of status.timeline.slice(shown))
      say(`  ${at.slice(11, 19)}  ${what}${who === undefined ? '' : `  (${who})`}`);
    shown = status.timeline.length;
    if (status.outcome !== undefined) return status;
    if (
      status.phase === 'waiting' &&
      status.proposal !== undefined &&
      status.proposal.digest !== asked &&
      status.waitingFor.length > 0
    ) {
      asked = status.proposal.digest;
      if (of.approveAs !== undefined)
        await decide(context, { id: workflowId, person: of.approveAs, verdict: 'approved', proposal: asked });
      else if (!(await showHowToApprove(context, status, say))) asked = undefined; // the page is still on its way
    }
    await sleep(POLL_MS);
  }
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

async function showHowToApprove({ config }: Context, status: Status, say: (line: string) => void): Promise<boolean> {
  const page = readPages(config.HOLDFAST_STATE_DIR).find(
    (one) => one.digest === status.proposal?.digest && one.code !== null,
  );
  if (page === undefined) return false;
  for (const line of [
    '',
    `It asks you: ${status.proposal?.summary}?`,
    `  In the Temporal UI:  ${uiLink(config, status)}`,
    '    More Actions, Send a Signal, name approve (or reject), and as input:',
    `    {"by":"${page.person}","code":"${page.code}"}`,
    `  Or in another terminal:  npm run -s holdfast -- approve ${status.workflowId} --as ${page.person} --proposal ${shortDigest(page.digest ?? '')}`,
    `  If nobody answers until ${status.waitingUntil}, the next level of the ladder is asked.`,
    '',
  ])
    say(line);
  return true;
}

function report(scenario: Scenario, before: string, status: Status): GameDayReport {
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
