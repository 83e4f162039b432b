import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { secureHeaders } from 'hono/secure-headers';
import { ZodError } from 'zod';
import type { Settings } from '../contracts/index.ts';
import type { CatalogueEntry } from '../runbook/catalogue.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Inbox } from './inbox.ts';
import { route } from './routing.ts';
import type { AlertSource } from './source.ts';

const BODY_LIMIT = 1024 * 1024;
const DEPTH_LIMIT = 64;

export interface GatewayParts {
  settings: Settings;
  runbooks: CatalogueEntry[];
  sources: AlertSource[];
  env: Readonly<Record<string, string | undefined>>;
  inbox: Inbox;
  dispatcher: Dispatcher;
  /** The page at `/`. */
  home: () => Promise<{ html: string; style: string }>;
  log: (line: string) => void;
}

/** Is JSON text nested deeper than this? Counts brackets outside strings, without recursion. */
export function deeperThan(text: string, limit: number): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i += 1) {
    const c = text[i];
    if (inString) {
      if (c === '\\') i += 1;
      else if (c === '"') inString = false;
    } else if (c === '"') inString = true;
    else if (c === '{' || c === '[') {
      depth += 1;
      if (depth > limit) return true;
    } else if (c === '}' || c === ']') depth -= 1;
  }
  return false;
}

/** Alerts in. The answer is 202 only when the bytes are on the disk. */
export function createApp(parts: GatewayParts): Hono {
  const { settings, runbooks, sources, env, inbox, dispatcher, log } = parts;
  const counts = { accepted: 0, alerts: 0, refused: {} as Record<string, number> };
  const refuse = (reason: string): void => void (counts.refused[reason] = (counts.refused[reason] ?? 0) + 1);
  const closed = new Set<string>();
  const app = new Hono();
  app.use(secureHeaders());

  app.post(
    '/alerts/:source',
    bodyLimit({
      maxSize: BODY_LIMIT,
      onError: (c) => (refuse('too-large'), c.json({ error: 'the body is larger than 1 MiB' }, 413)),
    }),
    async (c) => {
      const name = c.req.param('source');
      const source = sources.find((one) => one.name === name);
      const secret = source === undefined ? undefined : env[source.secret];
      if (source === undefined || !secret) {
        if (!closed.has(name) && closed.size < 100)
          log(
            `gateway: /alerts/${name.slice(0, 40)} is closed${source === undefined ? ', no such source' : `: set ${source.secret} to open it`}`,
          );
        closed.add(name);
        refuse('closed');
        return c.json({ error: 'not found' }, 404);
      }
      if (!/^application\/([a-z0-9.+-]+\+)?json\b/i.test(c.req.header('content-type') ?? ''))
        return (refuse('media-type'), c.json({ error: 'send application/json' }, 415));
      const raw = Buffer.from(await c.req.arrayBuffer());
      const headers = c.req.raw.headers;
      if (!source.verify(raw, headers, secret))
        return (refuse('signature'), c.json({ error: 'the signature or token is wrong' }, 401));
      let alerts;
      try {
        const text = raw.toString('utf8');
        if (deeperThan(text, DEPTH_LIMIT))
          return (refuse('depth'), c.json({ error: `nested deeper than ${DEPTH_LIMIT}` }, 400));
        alerts = source.normalise(JSON.parse(text), headers);
      } catch (error) {
        refuse('malformed');
        return c.json(
          {
            error:
              error instanceof ZodError
                ? `not a body of ${name}: ${error.issues[0]?.path.join('.')}: ${error.issues[0]?.message}`
                : 'not JSON',
          },
          400,
        );
      }
      try {
        await inbox.store(
          name,
          raw,
          alerts.map((alert) => ({ alert, target: route(alert, settings, runbooks) })),
        );
      } catch (error) {
        refuse('not-stored');
        log(`gateway: an alert could not be stored, the sender must try again: ${String(error)}`);
        return c.json({ error: 'cannot store, send again' }, 503);
      }
      counts.accepted += 1;
      counts.alerts += alerts.length;
      dispatcher.wake();
      return c.json({ accepted: alerts.length }, 202);
    },
  );

  app.get('/healthz', (c) => c.json({ status: 'ok' }));
  app.get('/readyz', (c) => {
    try {
      return c.json({ inbox: inbox.backlog(), temporal: dispatcher.trouble() ?? 'ok' });
    } catch (error) {
      return c.json({ error: `the inbox cannot be read: ${String(error)}` }, 503);
    }
  });
  app.get('/metrics', (c) => {
    const { waiting, aside } = inbox.backlog();
    const lines = [
      `holdfast_gateway_accepted_total ${counts.accepted}`,
      `holdfast_gateway_alerts_total ${counts.alerts}`,
      `holdfast_gateway_batches_sent_total ${dispatcher.counts.batches}`,
      `holdfast_gateway_late_total ${dispatcher.counts.late}`,
      `holdfast_gateway_inbox_waiting ${waiting}`,
      `holdfast_gateway_inbox_aside ${aside}`,
      ...Object.entries(counts.refused).map(([reason, n]) => `holdfast_gateway_refused_total{reason="${reason}"} ${n}`),
    ];
    return c.text(`${lines.join('\n')}\n`);
  });
  app.get('/', async (c) => {
    const { html, style } = await parts.home();
    c.header('content-security-policy', `default-src 'none'; style-src '${style}'; frame-ancestors 'none'`);
    return c.html(html);
  });
  return app;
}
