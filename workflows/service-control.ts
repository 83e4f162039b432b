/**
 * The safety authority of one service: grants every change, one at a time per environment, and keeps the release ledger.
 * A grant carries a fencing number that rises with every grant; a provider refuses a lower one than it has seen.
 * A rollback is never held by a deployment: it takes the grant over, and what the deployment does after that is fenced off.
 * Source of fencing: Kleppmann, "How to do distributed locking" (2016).
 */
import {
  allHandlersFinished,
  condition,
  defineQuery,
  defineUpdate,
  getExternalWorkflowHandle,
  patched,
  setHandler,
} from '@temporalio/workflow';
import { continueOn, dueToContinue, supersede } from '../src/runbook/index.ts';
import type { ChangeReport, ChangeRequest, Freeze, Grant, Ledger } from '../src/contracts/index.ts';

const HANDLED_PER_RUN = 500;
const CHANGES_KEPT = 20;

/** Of the configuration: how long nothing more is changed after a change, and how long one may take before it is given up. */
export interface Terms {
  coolDownMs: number;
  leaseMs: number;
}

export interface KillSwitch {
  on: boolean;
  by: string;
  reason: string;
}

/** What is carried over from run to run. */
export interface Control {
  service: string;
  fence: number;
  killSwitch: KillSwitch;
  ledgers: Record<string, Ledger>;
}

export const requestChangeUpdate = defineUpdate<Grant, [ChangeRequest & Terms]>('requestChange');
export const reportChangeUpdate = defineUpdate<void, [ChangeReport]>('reportChange');
export const setKillSwitch = defineUpdate<void, [KillSwitch]>('setKillSwitch');
export const setFreeze = defineUpdate<void, [{ environment: string; freeze?: Freeze }]>('setFreeze');
export const controlQuery = defineQuery<Control>('control');

export async function serviceControl(control: Control): Promise<void> {
  let handled = 0;
  const ledgerOf = (environment: string): Ledger => (control.ledgers[environment] ??= { environment, changes: [] });

  setHandler(controlQuery, () => control, {
    description: 'Kill switch, fencing number and release ledger of every environment',
  });
  setHandler(
    setKillSwitch,
    (change) => {
      handled += 1;
      control.killSwitch = change;
    },
    { description: 'Forbid every change by Holdfast: {"on":true,"by":"…","reason":"…"}' },
  );
  setHandler(
    setFreeze,
    ({ environment, freeze }) => {
      handled += 1;
      const { freeze: _, ...rest } = ledgerOf(environment);
      control.ledgers[environment] = freeze === undefined ? rest : { ...rest, freeze };
    },
    {
      description:
        'Hold deployments of an environment: {"environment":"…","freeze":{"by":"…","reason":"…","until":"…"}}; without `freeze` let them go on',
    },
  );
  setHandler(
    requestChangeUpdate,
    (request) => {
      handled += 1;
      const ledger = ledgerOf(request.environment);
      const refusal = refuse(control, ledger, request, Date.now());
      if (refusal !== undefined) return refusal;
      const granted = ledger.changes.find((change) => change.key === request.key);
      if (granted !== undefined) {
        granted.leaseEndsAt = new Date(Date.now() + request.leaseMs).toISOString();
        return { granted: true, fence: granted.fence };
      }
      const { key, kind, summary, holder } = request;
      control.fence += 1;
      ledger.changes.unshift({
        key,
        kind,
        summary,
        holder,
        fence: control.fence,
        at: new Date().toISOString(),
        leaseEndsAt: new Date(Date.now() + request.leaseMs).toISOString(),
        result: 'open',
      });
      ledger.changes.splice(CHANGES_KEPT);
      return { granted: true, fence: control.fence };
    },
    { description: 'Ask for the grant of one change' },
  );
  setHandler(
    reportChangeUpdate,
    ({ environment, key, result, running, release, held }) => {
      handled += 1;
      const ledger = ledgerOf(environment);
      const change = ledger.changes.find((one) => one.key === key);
      if (change === undefined || change.result !== 'open') return; // told already, or taken over since
      change.result = result;
      change.endedAt = new Date().toISOString();
      if (running !== undefined) ledger.running = running;
      if (running !== undefined && result === 'verified') ledger.lastVerifiedGood = running;
      const at = change.endedAt;
      if (release !== undefined && result === 'verified') {
        const others = (ledger.verified ?? []).filter(({ version }) => version !== release.version);
        ledger.verified = [{ ...release, at }, ...others].slice(0, CHANGES_KEPT);
        ledger.held = (ledger.held ?? []).filter(({ version }) => version !== release.version);
      }
      if (held !== undefined) ledger.held = [{ ...held, at }, ...(ledger.held ?? [])].slice(0, CHANGES_KEPT);
    },
    { description: 'Tell how a granted change ended' },
  );

  const due = dueToContinue();

  await condition(() => handled >= HANDLED_PER_RUN || due());
  await condition(allHandlersFinished);
  await continueOn<typeof serviceControl>(control);
}

/** A deployment whose grant is gone must not go on as if it had the traffic. */
function tellSuperseded(holder: string, by: string): void {
  const at = holder.lastIndexOf('/');
  const deployment = getExternalWorkflowHandle(holder.slice(0, at), holder.slice(at + 1));
  void deployment.signal(supersede, { by }).catch(() => undefined); // it has ended
}

/** An index may take hours, and has nothing to do with the traffic: a rollback does not wait for it. */
const apart = (change: { kind: string }, request: { kind: string }): boolean =>
  change.kind === 'create-index' && request.kind === 'roll-back';

function refuse(
  { killSwitch }: Control,
  ledger: Ledger,
  request: ChangeRequest & Terms,
  now: number,
): Grant | undefined {
  if (killSwitch.on)
    return {
      granted: false,
      because: 'kill-switch',
      reason: `the kill switch is on (${killSwitch.by}: ${killSwitch.reason})`,
    };
  const { freeze } = ledger;
  const frozen = freeze !== undefined && (freeze.until === undefined || Date.parse(freeze.until) > now);
  if (frozen && request.kind === 'deploy' && request.override !== true)
    return {
      granted: false,
      because: 'frozen',
      reason: `${request.environment} is frozen by ${freeze.by}: ${freeze.reason}`,
      ...(freeze.until !== undefined && { until: freeze.until }),
    };
  const own = ledger.changes.find((change) => change.key === request.key);
  if (own?.result === 'expired')
    return { granted: false, because: 'superseded', reason: `a later change has taken over from "${own.summary}"` };
  for (const change of ledger.changes) {
    if (change.key === request.key || change.result !== 'open') continue;
    if (apart(change, request) && patched('rolls-back-beside-an-index')) continue;
    const until = Date.parse(change.leaseEndsAt ?? change.at);
    if (until <= now || (change.kind === 'deploy' && request.kind === 'roll-back')) {
      change.result = 'expired';
      change.endedAt = new Date(now).toISOString();
      if (change.kind === 'deploy') tellSuperseded(change.holder, request.holder);
    } else
      return {
        granted: false,
        because: 'busy',
        reason: `another change runs: ${change.summary} (${change.holder})`,
        until: new Date(until).toISOString(),
      };
  }
  if (request.kind === 'deploy' || request.override === true) return undefined;
  for (const change of ledger.changes) {
    if (
      change.kind === 'deploy' ||
      change.holder === request.holder ||
      change.endedAt === undefined ||
      change.result === 'failed' ||
      change.result === 'expired'
    )
      continue;
    const until = Date.parse(change.endedAt) + request.coolDownMs;
    if (until > now)
      return {
        granted: false,
        because: 'cool-down',
        reason: `"${change.summary}" was done moments ago; until ${new Date(until).toISOString()} only a person should change more`,
        until: new Date(until).toISOString(),
      };
  }
  return undefined;
}
