import { routePath } from 'hono/route';
import type { MiddlewareHandler } from 'hono';
import { collectDefaultMetrics, Counter, Histogram, register } from 'prom-client';

collectDefaultMetrics();

const duration = new Histogram({
  name: 'http_request_duration_seconds',
  help: 'Time until an answer',
  labelNames: ['route', 'method', 'code'],
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
});
const vitals = new Histogram({
  name: 'web_vital',
  help: 'Web vitals that browsers reported: milliseconds, CLS without unit',
  labelNames: ['name'],
  buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 50, 100, 200, 500, 800, 1800, 2500, 4000, 8000],
});
const ratings = new Counter({
  name: 'web_vital_ratings_total',
  help: 'Web vitals by their rating',
  labelNames: ['name', 'rating'],
});

const NAMES = new Set(['CLS', 'FCP', 'INP', 'LCP', 'TTFB']);
const RATINGS = new Set(['good', 'needs-improvement', 'poor']);

export const measured: MiddlewareHandler = async (c, next) => {
  const stop = duration.startTimer();
  await next();
  stop({ route: routePath(c, -1), method: c.req.method, code: String(c.res.status) });
};

/** Count what a browser reported; false when it is no web vital. */
export function countVital(vital: unknown): boolean {
  const { name, value, rating } = (vital ?? {}) as Record<string, unknown>;
  if (typeof name !== 'string' || !NAMES.has(name) || typeof value !== 'number' || !Number.isFinite(value))
    return false;
  vitals.observe({ name }, value);
  if (typeof rating === 'string' && RATINGS.has(rating)) ratings.inc({ name, rating });
  return true;
}

export const exposition = async (): Promise<{ text: string; type: string }> => ({
  text: await register.metrics(),
  type: register.contentType,
});
