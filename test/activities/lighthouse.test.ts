/** Real Lighthouse with a real Chromium, where there is one, on pages of a real server. */
import { existsSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createActivities } from '../../activities/lighthouse.ts';
import { Settings } from '../../src/contracts/index.ts';
import { listProcesses } from '../../src/processes.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';
import { anEnvironment, asActivity, scope } from './git-rig.ts';
import { listening } from './http-server.ts';
import { settings } from './settings.ts';

const CHROMIUM = '/usr/bin/chromium';
let stateDir: string;
beforeEach(() => {
  stateDir = scratchFolder();
});
afterEach(() => removeScratch(stateDir));

const provider = (url: string, browser = CHROMIUM) => {
  const performance = { laboratory: { pages: ['/'] } };
  const production = { ...settings.services[0]!.environments['production'], url, performance };
  const services = [{ name: 'shop', environments: { production } }];
  const own = Settings.parse({ ...settings, services });
  return createActivities({ HOLDFAST_STATE_DIR: stateDir, CHROMIUM_PATH: browser }, own);
};

const described = existsSync(CHROMIUM) ? describe : describe.skip;
described('the laboratory', () => {
  it('measures a page that waits for a heavy script, as a phone and as a desktop, and ends its browser', async () => {
    const script = `document.body.innerHTML = '<h1>' + ${JSON.stringify('Shop '.repeat(40))} + '</h1>';//`;
    await using shop = await listening((request, response) => {
      if (request.url === '/heavy.js') return void response.end(script + 'x'.repeat(1_500_000));
      const page = '<!doctype html><html lang="en"><title>Shop</title><body><script src="/heavy.js"></script>';
      response.setHeader('content-type', 'text/html').end(page);
    });
    const [mobile, desktop, ...others] = await asActivity(() => provider(shop.url).labVitals(scope));
    expect(others).toEqual([]);
    expect(mobile).toMatchObject({ page: '/', device: 'mobile', runs: 3 });
    expect(mobile!.lcpMs).toBeGreaterThan(2500);
    expect(mobile!.score).toBeLessThan(1);
    expect(desktop!.device).toBe('desktop');
    expect(desktop!.lcpMs).toBeLessThan(mobile!.lcpMs);
    expect(await listProcesses(stateDir)).toEqual([]);
  }, 300_000);

  it('is Unavailable, for another try, where the page does not answer', async () => {
    await expect(asActivity(() => provider('http://127.0.0.1:9').labVitals(scope))).rejects.toMatchObject({
      type: 'Unavailable',
      message: expect.stringContaining('could not be measured on mobile'),
    });
    expect(await listProcesses(stateDir)).toEqual([]);
  }, 120_000);
});

/** A browser that never says that it is there, and does not end when it is asked to. */
async function hanging(): Promise<string> {
  const browser = join(stateDir, 'hangs');
  await writeFile(browser, '#!/bin/sh\ntrap "" TERM\nwhile :; do sleep 1; done\n');
  await chmod(browser, 0o755);
  return browser;
}

it('gives a browser that hangs up after twenty seconds, beating all the while, and kills it', async () => {
  const browser = await hanging();
  const environment = anEnvironment();
  let beats = 0;
  environment.on('heartbeat', () => void (beats += 1));
  const began = Date.now();
  const running = environment.run(() => provider('http://127.0.0.1:9', browser).labVitals(scope)) as Promise<unknown>;
  await expect(running).rejects.toMatchObject({
    type: 'Unavailable',
    message: expect.stringContaining('the browser did not come up'),
  });
  expect(Date.now() - began).toBeGreaterThanOrEqual(20_000);
  expect(Date.now() - began).toBeLessThan(40_000);
  expect(beats).toBeGreaterThanOrEqual(15);
  expect(await listProcesses(stateDir)).toEqual([]);
}, 60_000);

it('kills a browser that hangs, when it is cancelled', async () => {
  const browser = await hanging();
  const environment = anEnvironment();
  const running = environment.run(() => provider('http://127.0.0.1:9', browser).labVitals(scope)) as Promise<unknown>;
  const ended = expect(running).rejects.toThrow();
  await until(async () => (await listProcesses(stateDir)).some(({ name }) => name === 'laboratory-browser'));
  environment.cancel('CANCELLED');
  await ended;
  expect(await listProcesses(stateDir)).toEqual([]);
}, 60_000);

it('says what is missing where no page is configured, or the browser is not there', async () => {
  const at = { service: 'shop', environment: 'staging' };
  await expect(asActivity(() => provider('http://127.0.0.1:9').labVitals(at))).rejects.toMatchObject({
    type: 'NotConfigured',
  });
  const none = asActivity(() => provider('http://127.0.0.1:9', '/nonexistent/chromium').labVitals(scope));
  await expect(none).rejects.toMatchObject({ type: 'Unavailable' });
});
