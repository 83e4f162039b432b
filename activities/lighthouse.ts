/** Web vitals in the laboratory: Lighthouse in a process of its own, with a Chromium in another, of which both are ended by their pids. */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { cancellationSignal, sleep } from '@temporalio/activity';
import { z } from 'zod';
import { beating } from '../src/beating.ts';
import { DeviceClass, type LabVitals, type Scope, type Settings } from '../src/contracts/index.ts';
import type { Laboratory } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { locked } from '../src/locked.ts';
import { endProcess, endStrays, lastLines, runRegistered, startProcess } from '../src/processes.ts';
import { environmentOf } from '../src/withheld.ts';
import { medians, Report } from './lighthouse/report.ts';

/** Numbers vary by a quarter from run to run: the median of three is told. */
const RUNS = 3;
const RUN_MS = 90_000;
const BROWSER_MS = 20_000;
const GRACE_MS = 2000;
const BROWSER = 'laboratory-browser';
const LIGHTHOUSE = 'laboratory-lighthouse';

/** The rest of the environment is read for its names, to withhold from the browser what is the control plane's. */
export const env = z.looseObject({ HOLDFAST_STATE_DIR: z.string(), CHROMIUM_PATH: z.string().min(1) });

export function createActivities(variables: z.output<typeof env>, settings: Settings) {
  const { HOLDFAST_STATE_DIR, CHROMIUM_PATH } = variables;
  const withheld = environmentOf(variables, {});
  const stateDir = resolve(HOLDFAST_STATE_DIR);
  const folder = join(stateDir, 'laboratory');

  /** End what runs, also what a killed worker left. */
  async function clear(): Promise<void> {
    await Promise.all([LIGHTHOUSE, BROWSER].map((name) => endProcess(stateDir, name, GRACE_MS)));
    await endStrays(stateDir, [LIGHTHOUSE, BROWSER]);
    await rm(join(folder, 'profile'), { recursive: true, force: true });
  }

  /** Port at which the browser can be told what to do. @throws Unavailable (transient) when it does not come up. */
  async function startBrowser(): Promise<number> {
    const profile = join(folder, 'profile');
    const args = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'];
    const { logFile } = await startProcess({
      stateDir,
      name: BROWSER,
      command: CHROMIUM_PATH,
      env: withheld,
      args: [...args, `--user-data-dir=${profile}`, '--remote-debugging-port=0', 'about:blank'],
    }).catch((error: Error) => {
      throw failure('Unavailable', error.message.slice(-500));
    });
    for (const deadline = Date.now() + BROWSER_MS; Date.now() < deadline; await sleep(100)) {
      const port = Number((await readFile(join(profile, 'DevToolsActivePort'), 'utf8').catch(() => '')).split('\n')[0]);
      if (port > 0) return port;
    }
    throw failure('Unavailable', `the browser did not come up: ${(await lastLines(logFile)).slice(-500)}`);
  }

  /** One run in a fresh browser. @throws Unavailable (transient) when it hangs or the page cannot be measured. */
  async function run(url: string, device: DeviceClass): Promise<Report> {
    await clear();
    const report = join(folder, 'report.json');
    await rm(report, { force: true });
    const signal = AbortSignal.any([cancellationSignal(), AbortSignal.timeout(RUN_MS)]);
    try {
      const port = await startBrowser();
      const failed = await runRegistered({
        stateDir,
        name: LIGHTHOUSE,
        command: process.execPath,
        env: withheld,
        args: [
          LIGHTHOUSE_CLI,
          url,
          `--port=${port}`,
          '--output=json',
          `--output-path=${report}`,
          '--only-categories=performance',
          '--quiet',
          '--no-enable-error-reporting',
          ...(device === 'desktop' ? ['--preset=desktop'] : []),
        ],
        signal,
        graceMs: GRACE_MS,
      });
      if (failed !== undefined) throw new Error(failed);
      return Report.parse(JSON.parse(await readFile(report, 'utf8')));
    } catch (error) {
      cancellationSignal().throwIfAborted();
      throw failure('Unavailable', `${url} could not be measured on ${device}: ${String(error).slice(0, 500)}`);
    } finally {
      await clear();
    }
  }

  return {
    /**
     * Medians of three runs of each page of `performance.laboratory`, as a mobile phone and as a desktop. One at a time on this
     * machine. Heartbeats every second. @throws NotConfigured (permanent); Unavailable (transient).
     */
    async labVitals({ service, environment }: Scope): Promise<LabVitals[]> {
      const of = settings.services.find(({ name }) => name === service)?.environments[environment];
      if (of?.performance.laboratory === undefined)
        throw failure('NotConfigured', `${service}/${environment} has no performance.laboratory configured`);
      const { pages } = of.performance.laboratory;
      return await beating(async () => {
        await mkdir(folder, { recursive: true });
        return await locked(join(folder, 'lock.sqlite'), cancellationSignal(), async () => {
          const measured: LabVitals[] = [];
          for (const page of pages)
            for (const device of DeviceClass.options) {
              const reports: Report[] = [];
              for (let n = 0; n < RUNS; n += 1) reports.push(await run(new URL(page, of.url).href, device));
              measured.push({ page: page.slice(0, 120), device, runs: RUNS, ...medians(reports) });
            }
          return measured;
        });
      });
    },
  } satisfies Laboratory;
}

const LIGHTHOUSE_CLI = join(
  dirname(createRequire(join(process.cwd(), 'package.json')).resolve('lighthouse/package.json')),
  'cli/index.js',
);
