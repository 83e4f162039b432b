import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { msToNumber } from '@temporalio/common/lib/time.js';
import type { Config } from '../config.ts';
import type { Settings } from '../contracts/index.ts';
import { endProcess, runCommand, startProcess, writeWhole } from '../processes.ts';
import { incidentId, ladderOf } from '../runbook/index.ts';
import type { Control, deployRelease, Deployment, Watched } from '../../workflows/index.ts';
import { connect, usageError, type Context } from './context.ts';
import { FAULTS, type Fault } from './gameday/faults.ts';
import { follow, report, type GameDayReport } from './gameday/follow.ts';
import { SLOW_RELEASES } from './gameday/slow-releases.ts';
import { ROOT } from './platform.ts';

const POLL_MS = 400;
const ALERT_WITHIN_MS = 120_000;
const SHOWS_WITHIN_MS = 300_000;

const FlagsFile = z.looseObject({ flags: z.record(z.string(), z.unknown()) });

const SHOP = { service: 'shop', environment: 'production', good: 'v1', rate: 30 } as const;

/** Which faults a scenario has; the first is the one that strikes when none is named. */
const { 'bad-release': badRelease, ...ofTheDatabase } = FAULTS;
const SCENARIOS: Record<string, Record<string, Fault>> = {
  'high-error-rate': { 'bad-release': badRelease },
  'database-connection-issues': ofTheDatabase,
  'performance-degradation': SLOW_RELEASES,
};

/** What strikes, and the outcome that the runbook promises then. */
export interface GameDay {
  scenario: string;
  fault: Fault;
  expects: 'mitigated' | 'handed-over';
  approveAs?: string | undefined;
}

/** @throws a usage error (exit code 2) when scenario, fault or person is unknown; nothing has been started then. */
export function checkGameDay(
  scenario: string,
  { approveAs, fault: asked }: { approveAs?: string; fault?: string },
  settings: Settings,
): GameDay {
  const faults = SCENARIOS[scenario];
  if (faults === undefined)
    throw usageError(`there is no scenario "${scenario}"; there are: ${Object.keys(SCENARIOS).join(', ')}`);
  const [first = ''] = Object.keys(faults);
  const fault = faults[asked ?? first];
  if (fault === undefined)
    throw usageError(`${scenario} has no fault "${asked}"; it has: ${Object.keys(faults).join(', ')}`);
  const names = settings.people.filter(({ roles }) => roles.includes('approver')).map(({ name }) => name);
  if (approveAs !== undefined && !names.includes(approveAs))
    throw usageError(`"${approveAs}" is nobody who may approve; the configuration has: ${names.join(', ')}`);
  return { scenario, fault, approveAs, expects: fault.outcome };
}

/** Ship a good release under real traffic, let go wrong what is to, and follow the incident to its end. The platform must be up. */
export async function runGameDay(gameDay: GameDay, say: (line: string) => void): Promise<GameDayReport> {
  const { scenario, fault, approveAs } = gameDay;
  const { service, environment, good } = SHOP;
  const { what, release, rate = SHOP.rate } = fault;
  const context = await connect();
  const { config, settings } = context;
  const traffic = `traffic-${process.pid}`;
  let heal = async (): Promise<void> => undefined;
  try {
    await prepareShop(config);
    await endEarlier(context, incidentId({ service, environment }, scenario), say);
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
    heal = await fault.strike(context);
    if (release !== undefined) await deploy(context, { service, environment, ref: release, bad: true, say });
    say(`It goes wrong: ${what}. Waiting for the alert…`);
    const workflowId = incidentId({ service, environment }, scenario);
    let status = await follow(context, { workflowId, since, approveAs, say });
    // a machine that is busy with the deployment may answer late, before what is really wrong shows
    while (status.outcome !== fault.outcome && status.proposal === undefined && Date.now() < since + SHOWS_WITHIN_MS) {
      say('That incident ended with nothing proposed. Waiting for the next one…');
      status = await follow(context, { workflowId, since: Date.now(), approveAs, say });
    }
    return report(scenario, release ?? good, status);
  } finally {
    await heal();
    await endProcess(config.HOLDFAST_STATE_DIR, traffic);
    await context.close();
  }
}

/** The repository and the flags of the sample shop, where it has none yet. */
export async function prepareShop({ env, HOLDFAST_STATE_DIR: stateDir }: Config): Promise<void> {
  const repository = env['SHOP_REPOSITORY'] ?? join(stateDir, 'shop', 'repository');
  await runCommand({ command: process.execPath, args: ['examples/shop/make-repository.ts', repository], cwd: ROOT });
  const flags = env['SHOP_FLAGS_FILE'] ?? join(stateDir, 'shop', 'flags.json');
  const off = { state: 'ENABLED', variants: { on: true, off: false }, defaultVariant: 'off' };
  const known = existsSync(flags) ? FlagsFile.parse(JSON.parse(await readFile(flags, 'utf8'))) : { flags: {} };
  const all = { 'express-checkout': off, ...known.flags, 'cache-recommendations': off };
  await writeWhole(flags, JSON.stringify({ ...known, flags: all }, null, 2));
}

/** The ladder that an incident has left behind would take in the alerts of the next. */
async function endEarlier({ client }: Context, workflowId: string, say: (line: string) => void): Promise<void> {
  for (const id of [workflowId, ladderOf(workflowId)]) {
    const handle = client.workflow.getHandle(id);
    const { status } = await handle.describe().catch(() => ({ status: { name: 'NOT_FOUND' } }));
    if (status.name !== 'RUNNING') continue;
    say(`${id} of an earlier game day is still open; stopping it.`);
    await handle.signal('stop', { by: 'gameday', text: 'a new game day begins' });
    await handle.result();
  }
}

/**
 * Wait until no alert fires that would not be raised again, the last change of another incident has cooled down, and it was measured
 * how things are when they are well.
 */
async function calm({ client, settings }: Context, service: string, say: (line: string) => void): Promise<void> {
  const { environment } = SHOP;
  const of = settings.services.find(({ name }) => name === service)?.environments[environment];
  const coolDownMs = msToNumber(of?.coolDown ?? '0 s');
  const measuredAt = Date.now() + (of?.measure.windowSeconds ?? 0) * 1000;
  const deadline = measuredAt + coolDownMs + ALERT_WITHIN_MS;
  const waitsFor = async (): Promise<string | undefined> => {
    const watched = await client.workflow.getHandle(`monitor.${service}`).query<Watched[]>('watched');
    const firing = watched
      .flatMap(({ alerts }) => Object.entries(alerts))
      .find(([, one]) => one.firingSince !== undefined);
    if (firing !== undefined) return `the end of the earlier alert ${firing[0]}`;
    const control = client.workflow.getHandle(`control.${service}`).query<Control>('control');
    const changes = (await control.catch(() => undefined))?.ledgers[environment]?.changes ?? [];
    const ended = changes.filter(({ kind }) => kind !== 'deploy').map(({ endedAt }) => Date.parse(endedAt ?? '') || 0);
    if (Math.max(0, ...ended) + coolDownMs > Date.now()) return 'the cool-down after the last change';
    return measuredAt > Date.now() ? 'a window of measurements' : undefined;
  };
  for (let told: string | undefined; Date.now() < deadline;) {
    const what = await waitsFor();
    if (what === undefined) return;
    if (what !== told) say(`Waiting for ${what}…`);
    told = what;
    await sleep(POLL_MS);
  }
  throw new Error(`${service} did not calm down: an alert fires, or a change has just been made`);
}

async function deploy(
  { client, config }: Context,
  { say, ...of }: Deployment & { say: (line: string) => void },
): Promise<void> {
  const { service, environment, ref } = of;
  const from = Date.now();
  say(`Releasing ${service} ${ref}…`);
  const { summary } = await client.workflow
    .execute<typeof deployRelease>('deployRelease', {
      workflowId: `deployment.${service}.${environment}`,
      taskQueue: config.HOLDFAST_TASK_QUEUE,
      args: [of],
    })
    .catch((error: unknown) => {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      throw usageError(`a deployment of ${service} runs already, perhaps of another game day: wait for its end`, 1);
    });
  say(`Released ${ref} in ${((Date.now() - from) / 1000).toFixed(1)} s: ${summary}`);
}
