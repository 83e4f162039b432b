/**
 * Prometheus Alertmanager, webhook version 4. It signs nothing, so it sends a bearer token (`http_config.authorization`).
 * `Watchdog`, which fires for ever to show that the path works, is a heartbeat of the name `watchdog` and no alert. What a
 * group had cut off goes to triage as `AlertsTruncated`. A zero time is now; what is not understood of an alert is absent.
 */
import { AlertGroup, alertsOfGroup } from '../alert-group.ts';
import { defineSource, equal } from '../source.ts';

const WATCHDOG = 'Watchdog';

export const alertmanager = defineSource({
  name: 'alertmanager',
  secret: 'HOLDFAST_ALERTMANAGER_TOKEN',
  verify: (_raw, headers, secret) =>
    equal((headers.get('authorization') ?? '').replace(/^bearer +/i, 'Bearer '), `Bearer ${secret}`),
  normalise: (body) =>
    alertsOfGroup('alertmanager', AlertGroup.parse(body), ({ labels }) =>
      labels['alertname'] === WATCHDOG ? 'ignore' : undefined,
    ),
  heartbeats(body) {
    let fires = false;
    alertsOfGroup('alertmanager', AlertGroup.parse(body), ({ one, labels }) => {
      fires ||= labels['alertname'] === WATCHDOG && one.status !== 'resolved';
      return 'ignore';
    });
    return fires ? ['watchdog'] : [];
  },
});
