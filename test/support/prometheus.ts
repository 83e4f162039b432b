/** Real Prometheus and Alertmanager, of Debian or Homebrew, and a server that they can watch. */
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../src/embedded/ports.ts';
import { answers, startTool } from '../../src/embedded/start-tool.ts';
import { listening } from '../activities/http-server.ts';

const onPath = (...names: string[]): string | undefined =>
  names.find((name) => {
    try {
      execFileSync(name, ['--version'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
export const prometheusBinary = onPath('prometheus');
export const amtoolBinary = onPath('amtool');
export const alertmanagerBinary = onPath('prometheus-alertmanager', 'alertmanager');

/** A Prometheus that scrapes each target every second; the name under `targets` is their `job`. End it by the name `prometheus`. */
export async function startPrometheus(of: {
  stateDir: string;
  targets: Record<string, string[]>;
  rules?: object[];
  /** A file of rules beside them. */
  ruleFile?: string;
  alertmanager?: string;
  /** What it is to have scraped already, in the OpenMetrics format with timestamps. */
  earlier?: string;
}): Promise<string> {
  const { stateDir, targets, rules = [], ruleFile: given, alertmanager, earlier } = of;
  const data = join(stateDir, 'prometheus');
  const port = await freePort();
  const [file, ruleFile] = [join(stateDir, 'prometheus.yml'), join(stateDir, 'rules.yml')];
  await writeFile(ruleFile, JSON.stringify({ groups: rules.length === 0 ? [] : [{ name: 'test', rules }] }));
  await writeFile(
    file,
    JSON.stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [ruleFile, ...(given === undefined ? [] : [given])],
      alerting: {
        alertmanagers: alertmanager ? [{ static_configs: [{ targets: [new URL(alertmanager).host] }] }] : [],
      },
      scrape_configs: Object.entries(targets).map(([job_name, addresses]) => ({
        job_name,
        static_configs: [{ targets: addresses }],
      })),
    }),
  );
  if (earlier !== undefined) {
    const scraped = join(stateDir, 'earlier.txt');
    await writeFile(scraped, earlier);
    execFileSync('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', scraped, data], { stdio: 'ignore' });
  }
  const url = `http://127.0.0.1:${port}`;
  await startTool({
    stateDir,
    name: 'prometheus',
    command: prometheusBinary ?? 'prometheus',
    args: [`--config.file=${file}`, `--storage.tsdb.path=${data}`, `--web.listen-address=127.0.0.1:${port}`],
    ready: () => answers(`${url}/-/ready`),
  });
  return url;
}

/** An Alertmanager that tells a gateway within a second. End it by the name `alertmanager`. */
export async function startAlertmanager(of: { stateDir: string; receiver: string; token: string }): Promise<string> {
  const { stateDir, receiver, token } = of;
  const port = await freePort();
  const file = join(stateDir, 'alertmanager.yml');
  await writeFile(
    file,
    JSON.stringify({
      route: { receiver: 'holdfast', group_by: ['alertname'], group_wait: '1s', group_interval: '1s' },
      receivers: [
        {
          name: 'holdfast',
          webhook_configs: [
            { url: receiver, send_resolved: true, http_config: { authorization: { credentials: token } } },
          ],
        },
      ],
    }),
  );
  const url = `http://127.0.0.1:${port}`;
  await startTool({
    stateDir,
    name: 'alertmanager',
    command: alertmanagerBinary ?? 'alertmanager',
    args: [
      `--config.file=${file}`,
      `--storage.path=${join(stateDir, 'alertmanager')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--cluster.listen-address=',
    ],
    ready: () => answers(`${url}/-/ready`),
  });
  return url;
}

const ENDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

/** A server that counts what it answers in Caddy's histogram; `/bad` is answered with 500, all else with 200. */
export async function measuredServer() {
  const durations: Record<string, number[]> = {};
  const exposition = (): string =>
    [
      ...Object.entries(durations).flatMap(([code, all]) => [
        ...[...ENDS, Infinity].map((end) => {
          const count = all.filter((seconds) => seconds <= end).length;
          return `caddy_http_request_duration_seconds_bucket{server="shop",code="${code}",le="${end === Infinity ? '+Inf' : end}"} ${count}`;
        }),
        `caddy_http_request_duration_seconds_sum{server="shop",code="${code}"} ${all.reduce((sum, one) => sum + one, 0)}`,
        `caddy_http_request_duration_seconds_count{server="shop",code="${code}"} ${all.length}`,
      ]),
      `process_cpu_seconds_total ${(process.cpuUsage().user + process.cpuUsage().system) / 1e6}`,
      '',
    ].join('\n');
  const server = await listening((request, response) => {
    if (request.url === '/metrics') {
      response.setHeader('content-type', 'text/plain; version=0.0.4').end(exposition());
      return;
    }
    const startedAt = performance.now();
    response.writeHead(request.url === '/bad' ? 500 : 200).end(() => {
      (durations[response.statusCode] ??= []).push((performance.now() - startedAt) / 1000);
    });
  });
  /** From the first scrape on each code has a series: what Prometheus sees for the first time, it does not count. */
  durations['200'] = [];
  durations['500'] = [];
  return {
    ...server,
    /** As a process that began anew: there is no series before the first answer. */
    forget: () => {
      for (const code of Object.keys(durations)) delete durations[code];
    },
    ask: async (path: string, times: number) => {
      for (let i = 0; i < times; i += 1) await (await fetch(server.url + path)).text();
    },
  };
}
