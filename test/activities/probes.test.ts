import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createActivities } from '../../activities/probes.ts';
import { Settings } from '../../src/contracts/index.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { settings } from './settings.ts';

const on = { service: 'shop', environment: 'production' };
const probing = (url: string) =>
  createActivities(
    {},
    Settings.parse({ ...settings, services: [{ name: 'shop', environments: { production: { url } } }] }),
  ).httpHealth(on);

async function probed(listener: RequestListener) {
  const server = createServer(listener);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  try {
    return await probing(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

it('measures the answers of the health path', async () => {
  const health = await probed(
    (request, response) => void sleep(20).then(() => response.writeHead(request.url === '/healthz' ? 200 : 404).end()),
  );
  expect(health).toMatchObject({ probes: 10, failed: 0, status: 200 });
  expect(health.p50Ms).toBeGreaterThan(15);
  expect(health.p95Ms).toBeGreaterThanOrEqual(health.p50Ms);
});

it('counts the answers that are failures', async () => {
  let asked = 0;
  const health = await probed((_, response) => response.writeHead((asked += 1) % 2 === 0 ? 503 : 200).end());
  expect(health).toMatchObject({ probes: 10, failed: 5, status: 503 });
});

it('counts no answer as a failed probe', async () => {
  expect(await probing(`http://127.0.0.1:${await freePort()}`)).toMatchObject({
    probes: 10,
    failed: 10,
    status: 0,
    p95Ms: 0,
  });
});

it('ends after five seconds when nothing is answered in time', async () => {
  const startedAt = Date.now();
  const health = await probed(() => undefined);
  expect(Date.now() - startedAt).toBeLessThan(6000);
  expect(health.failed).toBe(health.probes);
});

it('refuses an environment it does not know', async () => {
  const elsewhere = createActivities({}, settings).httpHealth({ service: 'shop', environment: 'moon' });
  await expect(elsewhere).rejects.toMatchObject({ type: 'NotConfigured' });
});
