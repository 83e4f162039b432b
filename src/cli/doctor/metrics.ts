import { z } from 'zod';
import type { Environment, Settings } from '../../contracts/index.ts';
import { parsed, request } from '../../http.ts';
import { checked, failed, ok, warning, type Finding } from './finding.ts';

type Env = Readonly<Record<string, string | undefined>>;
type Metrics = NonNullable<Environment['metrics']>;

const Answer = z.object({
  data: z.object({
    result: z.array(z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) })),
  }),
});

/**
 * The Prometheus of each environment that is reached from here: whether it answers, and has the metrics that the configuration
 * names. Those of environments with a runner are its own to ask, by its task queue.
 */
export async function checkMetrics(env: Env, { services }: Settings, taskQueue?: string): Promise<Finding[]> {
  const asked = services.flatMap(({ name, environments }) =>
    Object.entries(environments).flatMap(([environment, of]) =>
      of.metrics?.source === 'prometheus' && of.taskQueue === taskQueue
        ? [{ where: `${name}/${environment}`, metrics: of.metrics }]
        : [],
    ),
  );
  const found = await Promise.all(
    asked.map(({ where, metrics }) =>
      checked(
        'prometheus',
        `let this host reach metrics.url of ${where}, and set PROMETHEUS_TOKEN where it wants one`,
        () => checkOne(where, metrics, env['PROMETHEUS_TOKEN']),
      ),
    ),
  );
  return found.flat();
}

async function checkOne(where: string, metrics: Metrics, token: string | undefined): Promise<Finding[]> {
  const { url, requests, match, codeLabel, instances } = metrics;
  const what = `${where}: Prometheus of ${new URL(url).host}`;
  /** Series by the value of a label, as they are now. */
  async function seriesBy(label: string, name: string, labels: Record<string, string>): Promise<Map<string, number>> {
    const query = new URLSearchParams({ query: `count by (${label}) (${selector(name, labels)})` });
    const response = await request(`${url.replace(/\/+$/, '')}/api/v1/query?${query.toString()}`, {
      what,
      ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
    });
    const { data } = parsed(Answer, await response.json().catch(() => undefined), what);
    return new Map(data.result.map(({ metric, value: [, count] }) => [metric[label] ?? '', Number(count)]));
  }
  const [codes, ends, own] = await Promise.all([
    seriesBy(codeLabel, `${requests}_count`, match),
    seriesBy('le', `${requests}_bucket`, match),
    instances === undefined ? undefined : seriesBy('instance', 'process_cpu_seconds_total', instances),
  ]);
  const configuration = 'correct metrics of holdfast.config.ts, or have Prometheus scrape it';
  if (codes.size === 0 || ends.size === 0) {
    const missing = `${requests}_${codes.size === 0 ? 'count' : 'bucket'}`;
    return [failed('prometheus', `${what} has no ${selector(missing, match)}`, configuration)];
  }
  return [
    codes.has('')
      ? failed(
          'prometheus',
          `${what}: ${requests}_count has series without a label ${codeLabel}`,
          'set metrics.codeLabel',
        )
      : ok('prometheus', `${what} has ${requests}, with ${codeLabel} ${[...codes.keys()].sort().join(', ')}`),
    ...(own?.size === 0
      ? [
          warning(
            'prometheus',
            `${what} has no ${selector('process_cpu_seconds_total', instances ?? {})}`,
            configuration,
          ),
        ]
      : []),
  ];
}

const selector = (name: string, match: Record<string, string>): string =>
  `${name}{${Object.entries(match)
    .map(([label, value]) => `${label}=${JSON.stringify(value)}`)
    .join(',')}}`;
