import { routePath } from 'hono/route';
import type { MiddlewareHandler } from 'hono';
import { collectDefaultMetrics, Histogram, register } from 'prom-client';

collectDefaultMetrics();

const duration = new Histogram({
  name: 'http_request_duration_seconds',
  help: 'Time until an answer',
  labelNames: ['route', 'method', 'code'],
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
});
export const measured: MiddlewareHandler = async (c, next) => {
  const stop = duration.startTimer();
  await next();
  stop({ route: routePath(c, -1), method: c.req.method, code: String(c.res.status) });
};

export const exposition = async (): Promise<{ text: string; type: string }> => ({
  text: await register.metrics(),
  type: register.contentType,
});
