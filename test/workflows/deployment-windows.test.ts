/** A deployment that waits for a window of the real calendar, over the nights in which the clock changes. */
import type { DeploymentOrder } from '../../src/contracts/index.ts';
import { asking } from '../activities/asked-windows.ts';
import { skippedTime, type SkippedTime } from '../support/skipped-time.ts';

const HOUR_MS = 3_600_000;
const MARCH = 2;
const OCTOBER = 9;
let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

/** Midnight (UTC) of the last Sunday of a month, when Europe's clocks change. */
function lastSunday(year: number, month: number): number {
  const last = new Date(Date.UTC(year, month + 1, 0));
  return last.setUTCDate(last.getUTCDate() - last.getUTCDay());
}

it.each([
  ['forward, though 02:30 is on no clock then', MARCH, 1.5],
  ['back, the first time that it is 02:30', OCTOBER, 0.5],
])('begins in its window of 02:30 in the night in which the clock is put %s', async (_, month, hours) => {
  const now = await time.env.currentTimeMs();
  const midnight = lastSunday(new Date(now).getUTCFullYear() + 1, month);
  await time.env.sleep(midnight - 3 * HOUR_MS - now);
  const opens = new Date(midnight + hours * HOUR_MS).toISOString();
  const ask = asking({
    timeZone: 'Europe/Berlin',
    allow: [{ start: '20260105T023000', rule: 'FREQ=DAILY', lasting: '1 hour' }],
  });
  const order: DeploymentOrder = { service: 'shop', environment: 'production', ref: 'r', orderedBy: 'cli:responder' };
  const run = await time.start('productionDeployment', order, {
    deploymentWindow: ({ at }) => ask(at),
    errorRatio: async () => ({ ratio: 0, requests: 1000, windowSeconds: 300 }),
  });
  await run.decide('approved', 'lead');
  await run.decide('approved', 'cto');
  const waiting = await run.until(({ doing }) => doing.includes('outside the deployment windows'));
  expect(waiting.waitingUntil).toBe(opens);
  expect(run.calls).not.toContain('requestChange');
  expect(await run.result()).toMatchObject({ outcome: 'released' });
  const { steps = [] } = await run.status();
  const began = Date.parse(steps.find(({ name }) => name === 'Wait for the deployment window')?.endedAt ?? '');
  expect(began - Date.parse(opens)).toBeGreaterThanOrEqual(0);
  expect(began - Date.parse(opens)).toBeLessThan(HOUR_MS / 20);
});
