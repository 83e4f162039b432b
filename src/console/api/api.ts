import { OpenAPIHono } from '@hono/zod-openapi';
import type { Next } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { z } from 'zod';
import { audit } from '../../audit.ts';
import { createLimiter } from '../../limiter.ts';
import { refusalOf, type Parts } from '../parts.ts';
import { principalOf, whyNot } from '../rights.ts';
import type { Asked, Env, Routed, Rule } from '../routes.ts';
import { serviceOf } from '../../operations/runs.ts';
import type { Sessions } from '../sign-in.ts';
import { onceByKey } from './keys.ts';
import { TITLES, type Endpoint } from './endpoint.ts';
import { runRoutes } from './runs.ts';
import { serviceRoutes } from './services.ts';
import { controlRoutes } from './control.ts';
import { reviewRoutes } from './reviews.ts';
import { silenceRoutes } from './silences.ts';
import { accessRoutes } from './access.ts';

const MINUTE_MS = 60_000;
const problem = (c: Asked, status: number, detail: string): Response =>
  new Response(JSON.stringify({ type: 'about:blank', title: TITLES[status] ?? 'It failed here', status, detail }), {
    status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store' },
  });

/** The API under `/api`, described by `/api/openapi.json`. Who asks shows a session or a token as bearer; cookies count for nothing here. */
export function createApi(
  parts: Parts,
  sessions: Sessions,
  addressOf: (c: Asked) => string,
): { app: OpenAPIHono<Env>; routes: Routed[] } {
  const { access, store, log } = parts;
  const routes: Routed[] = [];
  const app = new OpenAPIHono<Env>({
    defaultHook: (result, c) =>
      result.success ? undefined : problem(c as Asked, 400, z.prettifyError(result.error as z.ZodError).slice(0, 1000)),
  });
  const limiter = createLimiter({ atMost: access.config.HOLDFAST_API_PER_MINUTE, withinMs: MINUTE_MS });
  /** Whoever has no name cannot fill the audit trail. */
  const nameless = createLimiter({ atMost: 60, withinMs: MINUTE_MS });

  const check = (c: Asked, rule: Rule): Response | undefined => {
    const secret = /^Bearer (hf[st]_[\w-]{43})$/.exec(c.req.header('authorization') ?? '')?.[1];
    const principal = secret === undefined ? undefined : principalOf(secret, store, access.settings);
    const seconds = limiter.take(principal?.name ?? addressOf(c));
    if (seconds > 0) {
      const limited = problem(c, 429, `wait ${seconds} seconds`);
      limited.headers.set('retry-after', String(seconds));
      return limited;
    }
    if (rule === 'anyone') return undefined;
    if (principal === undefined) {
      const what = `${c.req.method} ${c.req.path}`;
      const tried = { who: 'unknown', via: 'api', what, on: c.req.param('id') ?? '' };
      const detail = 'the bearer is no session and no token in force';
      if (c.req.header('authorization') !== undefined && nameless.take('') === 0)
        audit(parts, { ...tried, result: 'refused', detail });
      const unknown = problem(c, 401, 'show a session or a token as bearer: "holdfast login" opens a session');
      unknown.headers.set('www-authenticate', 'Bearer');
      return unknown;
    }
    const { id, service } = c.req.param() as { id?: string; service?: string };
    const why = whyNot(principal, rule, id?.includes('.') ? serviceOf(id) : service);
    if (why !== undefined) {
      const what = `${c.req.method} ${c.req.path}`;
      audit(parts, { who: principal.name, via: 'api', what, on: id ?? service ?? '', result: 'refused', detail: why });
      return problem(c, 403, why);
    }
    c.set('principal', principal);
    return undefined;
  };
  /** Without a type the validator would take a body that is not there for an empty one. */
  const isJson = async (c: Asked, next: Next): Promise<Response | undefined> => {
    if (!/^application\/([\w.+-]+\+)?json\s*(;|$)/i.test(c.req.header('content-type') ?? ''))
      return problem(c, 415, 'send application/json');
    await next();
    return undefined;
  };
  const once = onceByKey(store, problem);
  const endpoint: Endpoint = (rule, route, handler) => {
    const method = route.method.toUpperCase() as Routed['method'];
    const path = route.path.replaceAll(/\{(\w+)\}/g, ':$1');
    routes.push({ method, path, rule });
    app.on(method, path, async (c, next) => check(c, rule) ?? (await next()));
    if (route.request?.body?.required === true) app.on(method, path, isJson);
    if (method !== 'GET' && rule !== 'anyone') app.on(method, path, once);
    app.openapi({ security: rule === 'anyone' ? [] : [{ bearer: [] }], ...route }, handler as never);
  };

  runRoutes(endpoint, parts);
  serviceRoutes(endpoint, parts);
  controlRoutes(endpoint, parts);
  silenceRoutes(endpoint, parts);
  reviewRoutes(endpoint, parts);
  accessRoutes(endpoint, parts, sessions, addressOf);

  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer' });
  const document = app.getOpenAPI31Document({ openapi: '3.1.0', info: { title: 'Holdfast', version: '1' } });
  routes.push({ method: 'GET', path: '/api/openapi.json', rule: 'anyone' });
  app.get('/api/openapi.json', (c) => c.json(document));
  app.all('/api/*', (c) => problem(c, 404, 'there is nothing here: /api/openapi.json lists what there is'));
  app.onError((error, c) => {
    const refusal = refusalOf(error);
    if (refusal !== undefined) return problem(c, refusal.status, refusal.told);
    if (error instanceof HTTPException && error.status < 500)
      return problem(c, error.status, error.status === 400 ? 'this is not JSON' : error.message);
    log(`api: ${c.req.method} ${c.req.path} failed: ${JSON.stringify(String(error))}`);
    return problem(c, 500, 'this failed here, try again');
  });
  return { app, routes };
}
