/** Alerts of Holdfast's own: raised and resolved with hysteresis, told until the gateway has taken them. */
import { proxyActivities } from '@temporalio/workflow';
import type { Alert, MonitorSettings, Scope, Severity } from '../contracts/index.ts';
import type { AlertSender } from '../contracts/ports.ts';
import { delivery } from './activity-options.ts';

const REPEAT_MS = 15 * 60 * 1000;
/** A monitor looks no more while it waits: what is not taken soon is told again at its next reading. */
const { sendAlert } = proxyActivities<AlertSender>({ ...delivery, scheduleToCloseTimeout: '15 seconds' });

/** How one alert stands; carried over from run to run. */
export interface Tracked {
  /** Start of the alert, while it fires. */
  firingSince?: string | undefined;
  /** Start of one that is yet to be taken: told again it is the same alert, which may have arrived. */
  dueSince?: string | undefined;
  /** When it was last told that it fires, ms since the epoch. */
  toldAt?: number | undefined;
  over: number;
  under: number;
}

export interface Told {
  scope: Scope;
  name: string;
  severity?: Severity;
  summary: string;
  labels?: Record<string, string>;
}

/** Count a reading: neither over nor under says nothing and ends both rows. */
export function count(tracked: Tracked, over: boolean, under: boolean): void {
  tracked.over = over ? tracked.over + 1 : 0;
  tracked.under = under ? tracked.under + 1 : 0;
}

/** Send what has begun, goes on, or has ended; what the gateway does not take is told again at the next reading. */
export async function tell(
  tracked: Tracked,
  told: Told,
  { now, raiseAfter, clearAfter }: { now: number } & Pick<MonitorSettings, 'raiseAfter' | 'clearAfter'>,
): Promise<void> {
  if (tracked.under >= clearAfter) tracked.dueSince = undefined;
  const startsAt = tracked.firingSince ?? tracked.dueSince ?? new Date(now).toISOString();
  if (tracked.under >= clearAfter && tracked.firingSince !== undefined) {
    if (await send(told, { status: 'resolved', startsAt })) tracked.firingSince = tracked.toldAt = undefined;
  } else if (tracked.over >= raiseAfter && now - (tracked.toldAt ?? 0) >= REPEAT_MS) {
    tracked.dueSince = startsAt;
    if (await send(told, { status: 'firing', startsAt }))
      [tracked.firingSince, tracked.toldAt, tracked.dueSince] = [startsAt, now, undefined];
  }
}

/** False when the gateway did not take it. `of` names the firing where its start and labels do not. */
export async function send(
  { scope, name, severity = 'critical', summary, labels = {} }: Told,
  { status, startsAt, of = startsAt }: { status: Alert['status']; startsAt: string; of?: string },
): Promise<boolean> {
  const which = [name, ...Object.values(labels)].join(':');
  const alert: Alert = {
    ...scope,
    source: 'monitor',
    key: `monitor:${scope.service}:${scope.environment}:${which}:${of}:${status}`,
    name,
    severity,
    status,
    summary: summary.slice(0, 1000),
    startsAt,
    labels: { alertname: name, ...scope, ...labels },
  };
  return await sendAlert(alert).then(
    () => true,
    () => false,
  );
}
