import { Hono, type Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { secureHeaders } from 'hono/secure-headers';
import { z } from 'zod';
import type { Env } from '../console/routes.ts';
import { Alert, type Settings } from '../contracts/index.ts';
import type { CatalogueEntry } from '../runbook/catalogue.ts';
import { isPermanent } from './deliver.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Inbox } from './inbox.ts';
import { deeperThan } from './json-depth.ts';
import { metricsText, type Measured } from './metrics.ts';
import { route } from './routing.ts';
import { equal, type Acknowledged, type AlertSource } from './source.ts';
import type { Heartbeats } from './heartbeats.ts';
import type { Interactions } from './slack.ts';
import type { TellAPerson } from './tell.ts';
import { PATH as VITALS, type Vitals } from './vitals.ts';
import { vitalsScript } from './vitals-script.ts';

const CLICK_LIMIT = 256 * 1024;
const BODY_LIMIT = 8 * 1024 * 1024;
const DEPTH_LIMIT = 64;

export interface GatewayParts {
  settings: Settings;
  runbooks: CatalogueEntry[];
  sources: AlertSource[];
  env: Readonly<Record<string, string | undefined>>;
  inbox: Inbox;
  dispatcher: Dispatcher;
  tellAPerson: TellAPerson;
  heartbeats: Heartbeats;
  slack: Interactions;
  /** Wake the deployments that may wait for a workflow of a repository. */
  wakeDeployments: (repository: string) => void;
  acknowledge: (of: Acknowledged) => Promise<void>;
  /** Beacons of real users, where they can be kept. */
  vitals?: Vitals | undefined;
  /** For the metrics: what was last seen in Temporal, and what was paged. */
  seen: () => Pick<Measured, 'watched' | 'pages'>;
  /** What people see: at `/` and wherever nothing else is. */
  console: Hono<Env>;
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
  replayed: 409,
  depth: 400,
  malformed: 400,
  'not-stored': 503,
} as const;

const mistakeIn = (error: unknown): string => {
  const issue = error instanceof z.ZodError ? error.issues[0] : undefined;
  return issue === undefined ? String(error) : `${issue.path.join('.')}: ${issue.message}`;
};

interface Understood {
  alerts: Alert[];
  heartbeats: string[];
  ended: string | undefined;
  acknowledged: Acknowledged[];
}
/** All that a source makes of a body. @throws Error when it is not this source's. */
const understand = (source: AlertSource, body: unknown, headers: Headers): Understood => ({
  alerts: z.array(Alert).parse(source.normalise(body, headers)),
  heartbeats: source.heartbeats?.(body) ?? [],
  ended: source.ended?.(body, headers),
  acknowledged: source.acknowledged?.(body) ?? [],
});

/** The gateway's HTTP side. An alert is answered 202 only when its bytes are on the disk. */
export function createApp(parts: GatewayParts): Hono {
  const { settings, runbooks, inbox, dispatcher, log } = parts;
  const refused: Record<string, number> = Object.fromEntries(Object.keys(REFUSALS).map((reason) => [reason, 0]));
  const counts = { accepted: 0, duplicates: 0, silenced: 0, refused };
  const sources = new Map(parts.sources.map((source) => [source.name, source]));
  const calledClosed = new Set<string>();

  const refuse = (c: Context, reason: keyof typeof REFUSALS, error: string): Response => {
    refused[reason] = (refused[reason] ?? 0) + 1;
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
  const putAside = async (c: Context, source: AlertSource, raw: Buffer, error: unknown): Promise<Response> => {
    inbox.putAside(`${source.name}: ${String(error).slice(0, 500)}`, raw);
    log(`gateway: a body from ${source.name} was put aside: ${JSON.stringify(String(error).slice(0, 500))}`);
    const kept = `${source.name} sent what cannot be understood, kept in the gateway's inbox: look there for its alerts`;
    await parts.tellAPerson(source.name, 'BodyNotUnderstood', kept);
    dispatcher.wake();
    return c.json({ accepted: 0 }, 202);
  };

  const tooLarge = async (c: Context): Promise<Response> => {
    const source = sources.get(c.req.param('source') ?? '');
    if (source === undefined || !parts.env[source.secret]) return closed(c, source);
    try {
      const refused = `${source.name} sent a body of more than 8 MiB, which was refused: look there for its alerts, and send fewer at once`;
      await parts.tellAPerson(source.name, 'BodyTooLarge', refused);
      dispatcher.wake();
    } catch (error) {
      log(`gateway: that a body was too large could not be stored: ${String(error)}`);
      return refuse(c, 'not-stored', 'cannot store, send again');
    }
    return refuse(c, 'too-large', 'the body is larger than 8 MiB');
  };

  const receive = async (c: Context, source: AlertSource, secret: string): Promise<Response> => {
    const raw = Buffer.from(await c.req.arrayBuffer());
    const { headers } = c.req.raw;
    if (!source.verify(raw, headers, secret)) return refuse(c, 'signature', 'the signature or token is wrong');
    if (deeperThan(raw, DEPTH_LIMIT)) return refuse(c, 'depth', `nested deeper than ${DEPTH_LIMIT}`);
    let understood: Understood;
    try {
      understood = understand(source, JSON.parse(raw.toString('utf8')), headers);
    } catch (error) {
      if (error instanceof SyntaxError) return refuse(c, 'malformed', 'this is not JSON');
      return await putAside(c, source, raw, mistakeIn(error));
    }
    const { alerts, heartbeats, ended, acknowledged } = understood;
    for (const name of heartbeats) await parts.heartbeats.beat(name);
    if (ended !== undefined) parts.wakeDeployments(ended);
    try {
      await Promise.all(acknowledged.map(parts.acknowledge));
    } catch (error) {
      if (!isPermanent(error)) throw error;
      return await putAside(c, source, raw, error);
    }
    const routed = alerts.map((alert) => ({ alert, target: route(alert, settings, runbooks) }));
    const { repeats, silenced } = await inbox.store({ source: source.name, raw, alerts: routed });
    counts.accepted += alerts.length;
    counts.duplicates += repeats;
    counts.silenced += silenced;
    dispatcher.wake();
    return c.json({ accepted: alerts.length }, 202);
  };

  const app = new Hono();
  if (parts.vitals !== undefined) app.route('/', vitalsScript()); // before the headers that keep other origins out
  // Without any referrer a browser would hide the origin of the console's own forms.
  app.use(secureHeaders({ strictTransportSecurity: false, xFrameOptions: 'DENY', referrerPolicy: 'same-origin' }));
  app.post('/alerts/:source', bodyLimit({ maxSize: BODY_LIMIT, onError: tooLarge }), async (c) => {
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
  });
  app.post('/heartbeats/:name', async (c) => {
    const { HOLDFAST_HEARTBEAT_TOKEN: token } = parts.env;
    const name = c.req.param('name');
    if (!token) return refuse(c, 'closed', 'not found');
    if (!equal(c.req.header('authorization') ?? '', `Bearer ${token}`))
      return refuse(c, 'signature', 'the token is wrong');
    try {
      if (await parts.heartbeats.beat(name)) return c.json({ heartbeat: name });
    } catch (error) {
      log(`gateway: a heartbeat could not be stored: ${String(error)}`);
      return refuse(c, 'not-stored', 'cannot store, send again');
    }
    return refuse(c, 'closed', 'no heartbeat of this name is expected: add it to heartbeats in holdfast.config.ts');
  });
  app.post('/slack/interactions', bodyLimit({ maxSize: CLICK_LIMIT }), async (c) => {
    const taken = parts.slack.receive(Buffer.from(await c.req.arrayBuffer()), c.req.raw.headers);
    return taken === 'taken' ? c.body(null, 200) : refuse(c, taken, `this click is not taken: ${taken}`);
  });
  if (parts.vitals !== undefined) app.route(VITALS, parts.vitals.routes);
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
  app.get('/metrics', (c) => {
    const { HOLDFAST_METRICS_TOKEN: token } = parts.env;
    if (token && !equal(c.req.header('authorization') ?? '', `Bearer ${token}`))
      return c.json({ error: 'the token is wrong' }, 401);
    const own = metricsText({ ...counts, ...dispatcher.counts, ...parts.seen(), backlog: inbox.backlog() });
    return c.text(own + (parts.vitals?.metricsText() ?? ''));
  });
  app.route('/', parts.console);
  app.onError((error, c) => {
    log(`gateway: ${c.req.method} failed: ${JSON.stringify(String(error))}`);
    return c.json({ error: 'this failed here, try again' }, 500);
  });
  return app;
}
