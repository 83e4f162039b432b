/** Real Prometheus and Alertmanager fire into a real gateway; the runbook is the real one, its world is simulated. */
import { createActivities, env } from '../../activities/open-alerts.ts';
import { createSimulator } from '../../activities/simulator.ts';
import type { OpenAtSources, Result, Status } from '../../src/contracts/index.ts';
import { endProcess } from '../../src/processes.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import {
  alertmanagerBinary,
  measuredServer,
  prometheusBinary,
  startAlertmanager,
  startPrometheus,
} from '../support/prometheus.ts';
import { runGateway, scratch, secrets, settings, type Running } from './rig.ts';
import { until } from '../support/until.ts';
import { startTemporalRig, type TemporalRig } from './temporal-rig.ts';

const INCIDENT = 'incident.shop.high-error-rate';
const failing = (window: string, code: string): string =>
  `sum(increase(caddy_http_request_duration_seconds_count{code=~"${code}"}[${window}]))`;
const RULE = {
  alert: 'HighErrorRate',
  expr: `${failing('5s', '5..')} / ${failing('5s', '.+')} > 0.05`,
  for: '1s',
  labels: { severity: 'critical', service: 'shop' },
  annotations: { summary: '{{ $value | humanizePercentage }} of the requests fail' },
};
const WATCHDOG = { alert: 'Watchdog', expr: 'vector(1)', labels: { severity: 'none' } };

const described = prometheusBinary !== undefined && alertmanagerBinary !== undefined ? describe : describe.skip;
described('Prometheus and Alertmanager', () => {
  let temporal: TemporalRig;
  let shop: Awaited<ReturnType<typeof measuredServer>>;
  const folder = scratch();
  const { stateDir } = folder;
  let gateway: Running;

  beforeAll(async () => {
    const { ports } = createSimulator();
    temporal = await startTemporalRig({
      workflowBundle: await workflowBundle('.holdfast'),
      activities: ports,
      sinks: { failures: { workflowFailed: { fn: () => undefined } } },
    });
    shop = await measuredServer();
    gateway = await runGateway({ stateDir, env: { TEMPORAL_ADDRESS: temporal.address } });
  }, 120_000);
  afterEach(async () => {
    await endProcess(stateDir, 'prometheus');
    await endProcess(stateDir, 'alertmanager');
    await temporal.clear();
  });
  afterAll(async () => {
    await gateway.stop();
    await shop[Symbol.asyncDispose]();
    await temporal[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  const watch = async (receiver: string, token: string): Promise<string> => {
    const alertmanager = await startAlertmanager({ stateDir, receiver, token });
    const targets = { shop: [new URL(shop.url).host] };
    await startPrometheus({ stateDir, targets, rules: [RULE, WATCHDOG], alertmanager });
    return alertmanager;
  };
  const incident = () => temporal.client.workflow.getHandle(INCIDENT);
  const status = (): Promise<Status | undefined> =>
    incident()
      .query<Status>('status')
      .catch(() => undefined);
  /** Visitors, until it holds. */
  const visited = async (paths: string[], holds: () => Promise<boolean>): Promise<void> =>
    until(async () => {
      for (const path of paths) await shop.ask(path, 5);
      return await holds();
    });

  it('fire a rule when requests fail, and the incident opens, resolves and closes with it', async () => {
    await watch(`${gateway.url}/alerts/alertmanager`, secrets.HOLDFAST_ALERTMANAGER_TOKEN);
    await visited(['/', '/bad'], async () => (await status())?.phase === 'waiting');
    expect(await status()).toMatchObject({
      incident: { service: 'shop', severity: 'critical', openedBy: 'alert:alertmanager' },
      proposal: { action: { kind: 'roll-back' } },
    });
    expect((await status())?.incident.summary).toMatch(/^\d+(\.\d+)?% of the requests fail$/);
    await visited(['/'], async () => (await status())?.phase === 'closed');
    expect((await incident().result()) as Result).toMatchObject({ outcome: 'resolved' });
    expect(await temporal.runsOf('incident.unrouted.triage')).toBe(0); // Watchdog is none
  }, 120_000);

  it('are asked for what their webhook did not tell, which opens the incident once and closes it', async () => {
    const alertmanager = await watch(`${gateway.url}/alerts/alertmanager`, 'a wrong token');
    const { tellOpenAlerts } = createActivities(
      env.parse({
        HOLDFAST_GATEWAY_PORT: new URL(gateway.url).port,
        ALERTMANAGER_URL: alertmanager,
        HOLDFAST_ALERTMANAGER_TOKEN: secrets.HOLDFAST_ALERTMANAGER_TOKEN,
      }),
      settings,
    );
    let known: OpenAtSources = { open: [], told: [] };
    const runsBefore = await temporal.runsOf(INCIDENT);
    await visited(['/', '/bad'], async () => {
      known = (await tellOpenAlerts?.(known)) ?? known;
      return known.told.length > 0;
    });
    await until(async () => (await status())?.phase === 'waiting');
    expect(await status()).toMatchObject({ alerts: { distinct: 1, deliveries: 1 } });
    await tellOpenAlerts?.({ ...known, told: [] }); // as by a monitor that has forgotten
    await until(async () => (await status())?.alerts.deliveries === 2);
    expect((await status())?.alerts.distinct).toBe(1);
    expect(await temporal.runsOf(INCIDENT)).toBe(runsBefore + 1);
    await visited(['/'], async () => {
      const later = jest.spyOn(Date, 'now').mockImplementation(() => new Date().getTime() + 5 * 60_000); // it has settled by then
      known = (await tellOpenAlerts?.(known).finally(() => later.mockRestore())) ?? known;
      return (await status())?.phase === 'closed';
    });
    expect((await incident().result()) as Result).toMatchObject({ outcome: 'resolved' });
    expect((await status())?.timeline).toContainEqual(
      expect.objectContaining({ what: expect.stringMatching(/1 resolved alert.*HighErrorRate: \d+(\.\d+)?% of the/) }),
    );
    expect(await temporal.runsOf('incident.unrouted.triage')).toBe(0);
  }, 120_000);
});
