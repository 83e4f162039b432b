/**
 * `npm run bench`: 10,000 beacons a second for ten seconds to the real gateway, a fifth of them of a forged origin; its alert
 * path is measured meanwhile. Exit code 1 when an alert is not accepted, or a figure is over its limit.
 */
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import autocannon from 'autocannon';
import { freePort } from '../src/embedded/ports.ts';
import { startPostgres } from '../src/embedded/postgres.ts';
import { startSupabase } from '../src/embedded/supabase.ts';
import { startTemporal } from '../src/embedded/temporal.ts';
import { cleanUp, groupOf, limited, peakMib, post, quantile, startPart, stateDir, until } from './rig.ts';

const PER_SECOND = 10_000;
const SECONDS = 10;
const CONNECTIONS = 500;
const ALERTS_PER_SECOND = 20;
const LIMIT = { p99Ms: 500, mib: 512, countedPerSecond: 600 };
/** The load itself needs a core: a tenth of it may be late. */
const UNANSWERED = 0.1;
const ORIGIN = 'https://shop.example';
/** Of each connection, in turn. */
const ORIGINS = [ORIGIN, ORIGIN, ORIGIN, ORIGIN, 'https://forged.example'];

/** Beacons at the rate, from another thread: how many were answered, by status. */
async function sendBeacons(url: string): Promise<autocannon.Result> {
  const body = { page: '/', device: 'mobile', release: 'v1', vitals: [{ name: 'LCP', value: 1830 }] };
  return await autocannon({
    url,
    method: 'POST',
    requests: ORIGINS.map((origin) => ({
      headers: { origin, 'content-type': 'text/plain;charset=UTF-8' },
      body: JSON.stringify(body),
    })),
    connections: CONNECTIONS,
    overallRate: PER_SECOND,
    duration: SECONDS,
    workers: 1,
  });
}

/** Alerts, whether or not the earlier ones were answered, until it is over; milliseconds of each answer. */
async function sendAlerts(url: string, over: () => boolean): Promise<{ tookMs: number[]; refused: number }> {
  const tookMs: number[] = [];
  let refused = 0;
  const one = async (n: number): Promise<void> => {
    const began = performance.now();
    const alert = groupOf({ alertname: 'HighErrorRate', service: 'service-1', fingerprint: `alert-${n}` });
    const { status } = await post(url, alert).catch(() => ({ status: 0 }));
    tookMs.push(performance.now() - began);
    if (status !== 202) refused += 1;
  };
  const under: Promise<void>[] = [];
  for (let n = 0; !over(); n += 1) {
    under.push(one(n));
    await sleep(1000 / ALERTS_PER_SECOND);
  }
  await Promise.all(under);
  return { tookMs, refused };
}

try {
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const { url: databaseUrl } = await startPostgres({ stateDir, port: await freePort() });
  const record = await startSupabase({ stateDir, port: await freePort(), databaseUrl });
  const port = await freePort();
  const gateway = await startPart('gateway', ['src/gateway/main.ts'], {
    BENCH_SERVICES: '1',
    BENCH_ORIGIN: ORIGIN,
    HOLDFAST_GATEWAY_PORT: String(port),
    RECORD_SUPABASE_URL: record.url,
    RECORD_SUPABASE_SECRET_KEY: record.secretKey,
    TEMPORAL_ADDRESS: address,
  });
  const url = `http://127.0.0.1:${port}`;
  await until('the gateway starts', () => fetch(url));

  console.log(
    `${PER_SECOND} beacons a second for ${SECONDS} s over ${CONNECTIONS} connections, one in ${ORIGINS.length} of a forged origin, and alerts…`,
  );
  let over = false;
  const [beacons, alerts] = await Promise.all([
    sendBeacons(`${url}/vitals`).finally(() => (over = true)),
    sendAlerts(`${url}/alerts/alertmanager`, () => over),
  ]);
  const answered = beacons['2xx'] + beacons.non2xx;
  console.log(
    `${answered} beacons were answered in ${beacons.duration.toFixed(1)} s, p99 ${beacons.latency.p99} ms: ${beacons['2xx']} counted, ` +
      `${beacons.non2xx} refused (${beacons.statusCodeStats?.['403']?.count ?? 0} of a forged origin), ${beacons.errors} unanswered; load of the machine ${loadavg()
        .map((n) => n.toFixed(1))
        .join(' ')}`,
  );
  limited(`time to accept an alert, p99 of ${alerts.tookMs.length}`, quantile(alerts.tookMs, 0.99), LIMIT.p99Ms, ' ms');
  limited('alerts refused', alerts.refused, 0);
  limited('beacons counted in a second', beacons['2xx'] / beacons.duration, LIMIT.countedPerSecond);
  limited('beacons without an answer', Math.max(0, PER_SECOND * SECONDS - answered), PER_SECOND * SECONDS * UNANSWERED);
  limited('memory of the gateway, peak', peakMib(gateway.pid), LIMIT.mib, ' MiB');
} finally {
  await cleanUp();
}
