/** Metrics of each environment from where its configuration says: scraped, or asked of Prometheus. */
import { z } from 'zod';
import type {
  Comparison,
  ErrorRatio,
  ResponseTimes,
  Saturation,
  Scope,
  Settings,
  Window,
} from '../src/contracts/index.ts';
import type { CanaryMetrics, InstanceMetrics, Metrics } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { metricsOf, type Counted } from './metrics/counted.ts';
import { createInstanceMetrics } from './metrics/instances.ts';
import { createPrometheus } from './metrics/prometheus.ts';
import { createScrape } from './metrics/scrape.ts';
import { quantileMs, shareOver } from './metrics/series.ts';

export const env = z.object({
  HOLDFAST_STATE_DIR: z.string(),
  /** Bearer token, where Prometheus wants one. */
  PROMETHEUS_TOKEN: z.string().min(1).optional(),
});

/** @throws Error that names the environment whose canary has checks without a Prometheus: it stops the worker at its start. */
export function createActivities({ HOLDFAST_STATE_DIR, PROMETHEUS_TOKEN }: z.output<typeof env>, settings: Settings) {
  for (const { name, environments } of settings.services)
    for (const [environment, { deployment, metrics }] of Object.entries(environments))
      if (deployment.canary.checks.length > 0 && metrics?.source !== 'prometheus')
        throw new Error(`${name}/${environment}: deployment.canary.checks ask a Prometheus: set metrics.source to it`);
  const sources = {
    scrape: createScrape(HOLDFAST_STATE_DIR, settings),
    prometheus: createPrometheus(PROMETHEUS_TOKEN, settings),
  };
  const sourceOf = (of: Scope) => sources[metricsOf(settings, of).source];
  const requestsOf = (of: Window, match = metricsOf(settings, of).match): Promise<Counted> =>
    sourceOf(of).counted(of, match);

  /** A check that cannot be asked keeps nobody from what else is known of the canary. */
  const checked = async (of: Scope): Promise<NonNullable<Comparison['checks']>> => {
    const here = settings.services.find(({ name }) => name === of.service)?.environments[of.environment];
    return await Promise.all(
      (here?.deployment.canary.checks ?? []).map(async ({ name, query, atMost }) => {
        try {
          return { name, atMost, value: await sources.prometheus.largest(of, query) };
        } catch (error) {
          return { name, atMost, why: error instanceof Error ? error.message.slice(0, 300) : String(error) };
        }
      }),
    );
  };

  return {
    ...createInstanceMetrics(settings, sourceOf),
    /** Share of the answers of the window whose code is 5xx; `windowSeconds` of the answer is what was measured. */
    async errorRatio(of: Window): Promise<ErrorRatio> {
      const { seconds, requests, failed, seen } = await requestsOf(of);
      const absent = !seen && !(await sourceOf(of).idle(of, metricsOf(settings, of).match));
      return { ratio: ratioOf(failed, requests), requests, windowSeconds: seconds, ...(absent && { absent }) };
    },
    /** Quantiles of the window and what is over the objective, interpolated within the histogram's bucket. */
    async responseTimes(of: Window): Promise<ResponseTimes> {
      const { requests, buckets } = await requestsOf(of);
      const objective = settings.services.find(({ name }) => name === of.service)?.environments[of.environment];
      return {
        p50Ms: quantileMs(buckets, 0.5),
        p95Ms: quantileMs(buckets, 0.95),
        requests,
        slowShare: shareOver(buckets, objective?.objectives.p95Ms ?? Infinity),
      };
    },
    /**
     * The canary by the series of `metrics.canaryMatch`; the running release is what all requests are without them. With it what
     * the queries of `deployment.canary.checks` say.
     */
    async compareReleases(of: Window): Promise<Comparison> {
      const { canaryMatch } = metricsOf(settings, of);
      if (canaryMatch === undefined)
        throw failure('NotConfigured', `${of.service}/${of.environment}: metrics.canaryMatch is not configured`);
      const [all, beside, checks] = await Promise.all([requestsOf(of), requestsOf(of, canaryMatch), checked(of)]);
      const requests = Math.max(0, all.requests - beside.requests);
      const failed = Math.max(0, all.failed - beside.failed);
      const without = [...all.buckets, ...beside.buckets.map((one) => ({ ...one, value: -one.value }))];
      return {
        canary: {
          requests: beside.requests,
          errorRatio: ratioOf(beside.failed, beside.requests),
          p95Ms: quantileMs(beside.buckets, 0.95),
        },
        running: { requests, errorRatio: ratioOf(failed, requests), p95Ms: quantileMs(without, 0.95) },
        windowSeconds: all.seconds,
        ...(checks.length > 0 && { checks }),
      };
    },
    /** CPU use of the busiest instance that answers. @throws as its source says. */
    async saturation(of: Window): Promise<Saturation> {
      return await sourceOf(of).saturation(of);
    },
  } satisfies Metrics & CanaryMetrics & InstanceMetrics;
}

const ratioOf = (failed: number, requests: number): number => (requests === 0 ? 0 : failed / requests);
