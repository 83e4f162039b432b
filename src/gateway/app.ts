import { Hono, type Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { secureHeaders } from 'hono/secure-headers';
import { z } from 'zod';
import { Alert, type Settings } from '../contracts/index.ts';
import type { CatalogueEntry } from '../runbook/catalogue.ts';
import type { Dispatcher } from './dispatcher.ts';
import { CONTENT_SECURITY_POLICY } from './home.ts';
import type { Inbox } from './inbox.ts';
import { deeperThan } from './json-depth.ts';
import { metricsText } from './metrics.ts';
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
  home: () => Promise<string>;
  /** Whether Temporal answers now. */
  temporalAnswers: () => Promise<boolean>;
  log: (line: string) => void;
}

/** Why a request was not stored, with its HTTP status. */
const REFUSALS = {
  closed: 404,
  'media-type': 415,
  'too-large': 413,
  signature: 401,
  depth: 400,
  malformed: 400,
  'not-stored': 503,
} as const;

const mistakeIn = (error: unknown): string => {
  const issue = error instanceof z.ZodError ? error.issues[0] : undefined;
  return issue === undefined ? 'this is not JSON' : `${issue.path.join('.')}: ${issue.message}`;
};

/** The gateway's HTTP side. An alert is answered 202 only when its bytes are on the disk. */
export function createApp(parts: GatewayParts): Hono {
  const { settings, runbooks, inbox, dispatcher, log } = parts;
  const counts = { accepted: 0, duplicates: 0, refused: {} as Record<string, number> };
  const sources = new Map(parts.sources.map((source) => [source.name, source]));
  const calledClosed = new Set<string>();

  const refuse = (c: Context, reason: keyof typeof REFUSALS, error: string): Response => {
    counts.refused[reason] = (counts.refused[reason] ?? 0) + 1;
    if (reason === 'too-large' || reason === 'malformed')
      log(`gateway: alerts to ${c.req.path} were refused and are lost to Holdfast: ${JSON.stringify(error)}`);
    return c.json({ error }, REFUSALS[reason]);
  };
  const closed = (c: Context, source: AlertSource | undefined): Response => {
    if (source !== undefined && !calledClosed.has(source.name)) {
      calledClosed.add(source.name);
      log(`gateway: an alert came to /alerts/${source.name}, which is closed: set ${source.secret} to open it`);
    }
    return refuse(c, 'closed', 'not found');
  };
  /** What is genuine but cannot be understood is kept for a person; the sender need not send it again. */
  const putAside = (c: Context, source: AlertSource, raw: Buffer, error: unknown): Response => {
    inbox.putAside(`${source.name}: ${String(error).slice(0, 500)}`, raw);
    log(`gateway: a body from ${source.name} was put aside: ${JSON.stringify(String(error).slice(0, 500))}`);
    return c.json({ accepted: 0 }, 202);
  };

  const receive = async (c: Context, source: AlertSource, secret: string): Promise<Response> => {
    const raw = Buffer.from(await c.req.arrayBuffer());
    const { headers } = c.req.raw;
    if (!source.verify(raw, headers, secret)) return refuse(c, 'signature', 'the signature or token is wrong');
    if (deeperThan(raw, DEPTH_LIMIT)) return refuse(c, 'depth', `nested deeper than ${DEPTH_LIMIT}`);
    let alerts: Alert[];
    try {
      alerts = source.normalise(JSON.parse(raw.toString('utf8')), headers);
    } catch (error) {
      if (error instanceof z.ZodError || error instanceof SyntaxError) return refuse(c, 'malformed', mistakeIn(error));
      return putAside(c, source, raw, error);
    }
    const checked = z.array(Alert).safeParse(alerts);
    if (!checked.success) return putAside(c, source, raw, mistakeIn(checked.error));
    const routed = checked.data.map((alert) => ({ alert, target: route(alert, settings, runbooks) }));
    const { repeats } = await inbox.store({ source: source.name, raw, alerts: routed });
    counts.accepted += alerts.length;
    counts.duplicates += repeats;
    dispatcher.wake();
    return c.json({ accepted: alerts.length }, 202);
  };

  const app = new Hono();
  app.use(secureHeaders({ strictTransportSecurity: false, xFrameOptions: 'DENY' }));
  app.post(
    '/alerts/:source',
    bodyLimit({ maxSize: BODY_LIMIT, onError: (c) => refuse(c, 'too-large', 'the body is larger than 1 MiB') }),
    async (c) => {
      const source = sources.get(c.req.param('source'));
      const secret = source === undefined ? undefined : parts.env[source.secret];
      if (source === undefined || !secret) return closed(c, source);
      if (!/^application\/([\w.+-]+\+)?json\s*(;|$)/i.test(c.req.header('content-type') ?? ''))
        return refuse(c, 'media-type', 'send application/json');
      try {
        return await receive(c, source, secret);
      } catch (error) {
        log(`gateway: an alert from ${source.name} could not be stored, it must be sent again: ${String(error)}`);
        return refuse(c, 'not-stored', 'cannot store, send again');
      }
    },
  );
  app.get('/healthz', (c) => c.json({ status: 'ok' }));
  app.get('/readyz', async (c) => {
    try {
      inbox.probe();
    } catch (error) {
      log(`gateway: the inbox cannot be written: ${String(error)}`);
      return c.json({ status: 'unready', inbox: 'cannot be written' }, 503);
    }
    const temporal = (await parts.temporalAnswers()) ? 'reachable' : 'away, alerts are kept';
    return c.json({ status: 'ready', inbox: inbox.backlog(), temporal });
  });
  app.get('/metrics', (c) => c.text(metricsText({ ...counts, ...dispatcher.counts, backlog: inbox.backlog() })));
  app.get('/', async (c) => {
    c.header('content-security-policy', CONTENT_SECURITY_POLICY);
    return c.html(await parts.home());
  });
  app.onError((error, c) => {
    log(`gateway: ${c.req.method} failed: ${JSON.stringify(String(error))}`);
    return c.json({ error: 'this failed here, try again' }, 500);
  });
  return app;
}
