/**
 * Web vitals of real users: `POST /vitals` takes one beacon per page view, counts it into sketches, and writes those to the record
 * every few seconds. Nothing of the user is kept: no address, no agent, no identifier. Memory is bounded by the number of keys.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { z } from 'zod';
import {
  DeviceClass,
  MetricName,
  type PerformanceSettings,
  type Scope,
  type Settings,
  type VitalsSlot,
} from '../contracts/index.ts';
import { createRecord } from '../record.ts';
import { newSketch, type Sketch } from '../sketches.ts';
import { boundedNames } from './bounded-names.ts';

export const PATH = '/vitals';
const BODY_LIMIT = 2048;
const FLUSH_MS = 10_000;
const SLOTS_PER_WINDOW = 6;
/** Of one environment in one slot; what is more is counted together. */
const PAGES = 50;
const RELEASES = 5;
/**
 * Counted at once: what may be counted in a tenth of a second, or this. What could save up a second's would count that in one turn of
 * the loop, which takes as long as to save up the next: an alert would wait for each of those turns.
 */
const AT_ONCE = 20;
/** No page takes longer; what says so is made up. */
const LONGEST_MS = 120_000;
const CLS_MOST = 100;

const Value = z.discriminatedUnion('name', [
  z.object({ name: z.literal('CLS'), value: z.number().min(0).max(CLS_MOST) }),
  z.object({ name: MetricName.exclude(['CLS']), value: z.number().min(0).max(LONGEST_MS) }),
]);
const Beacon = z.strictObject({
  page: z.string().regex(/^\/[\w./~%+-]{0,199}$/),
  device: DeviceClass,
  release: z.string().regex(/^[\w./-]{1,60}$/),
  vitals: z.array(Value).min(1).max(5),
});
export type Beacon = z.input<typeof Beacon>;

interface Measured extends Scope {
  vitals: NonNullable<PerformanceSettings['vitals']>;
}
interface Slot {
  at: number;
  sketches: Map<string, { key: Omit<VitalsSlot, 'samples' | 'sketch'>; sketch: Sketch; written: number }>;
}

export interface Vitals {
  /** For `PATH`. */
  routes: Hono;
  /**
   * Answers a beacon over the rate, or of an origin that is not measured, before anything is made of the request: what a busy page
   * sends must leave room for an alert, and so must what pages of others send. False where it is another request's turn.
   */
  refusesAtOnce: (request: IncomingMessage, response: ServerResponse) => boolean;
  metricsText: () => string;
  /** Write what was counted since the last time. */
  flush: () => Promise<void>;
  stop: () => Promise<void>;
}

/** Undefined where no environment has origins, or there is no record to keep them in. */
export function keepVitals(of: {
  settings: Settings;
  env: Readonly<Record<string, string | undefined>>;
  log: (line: string) => void;
}): Vitals | undefined {
  const { RECORD_SUPABASE_URL: url, RECORD_SUPABASE_SECRET_KEY: key } = of.env;
  const measured = measuredOrigins(of.settings);
  if (measured.size === 0) return undefined;
  if (!url || !key) {
    of.log('gateway: /vitals is closed: set RECORD_SUPABASE_URL and RECORD_SUPABASE_SECRET_KEY to open it');
    return undefined;
  }
  const { saveVitals } = createRecord({ url, key });
  return createVitals({ measured, save: saveVitals, log: of.log });
}

/** Which environment a page of an origin is of. */
export const measuredOrigins = (settings: Settings): Map<string, Measured> =>
  new Map(
    settings.services.flatMap(({ name: service, environments }) =>
      Object.entries(environments).flatMap(
        ([
          environment,
          {
            performance: { vitals },
          },
        ]) => (vitals?.origins ?? []).map((origin) => [origin, { service, environment, vitals: vitals! }] as const),
      ),
    ),
  );

export function createVitals(of: {
  measured: Map<string, Measured>;
  save: (slots: VitalsSlot[]) => Promise<unknown>;
  log: (line: string) => void;
}): Vitals {
  const { measured, save, log } = of;
  const gateway = randomUUID();
  const counts = { accepted: 0, refused: {} as Record<string, number> };
  const slots = new Map<Measured, Slot[]>();
  const names = new Map<Measured, Record<'page' | 'release', ReturnType<typeof boundedNames>>>();
  const allowances = new Map<Measured, { left: number; at: number }>();

  /** What may still be counted at this moment. */
  function allowance(one: Measured, now: number): number {
    const { perSecond } = one.vitals;
    const atOnce = Math.min(perSecond, Math.max(AT_ONCE, perSecond / 10));
    const { left, at } = allowances.get(one) ?? { left: atOnce, at: now };
    return Math.min(atOnce, left + ((now - at) / 1000) * perSecond);
  }

  /** Takes one of it. */
  function allowed(one: Measured): boolean {
    const now = performance.now();
    const left = allowance(one, now);
    allowances.set(one, { left: left >= 1 ? left - 1 : left, at: now });
    return left >= 1;
  }

  function slotOf(one: Measured): Slot {
    const slotMs = Math.max(1000, (one.vitals.windowSeconds * 1000) / SLOTS_PER_WINDOW);
    const at = Math.floor(Date.now() / slotMs) * slotMs;
    const all = slots.get(one) ?? [];
    const known = all.at(-1);
    if (known?.at === at) return known;
    const slot: Slot = { at, sketches: new Map() };
    slots.set(one, [...all, slot].slice(-SLOTS_PER_WINDOW)); // the record may be away; older ones are let go
    return slot;
  }

  function count(one: Measured, beacon: z.output<typeof Beacon>): void {
    const slot = slotOf(one);
    const { service, environment } = one;
    const named = names.get(one) ?? { page: boundedNames(PAGES), release: boundedNames(RELEASES) };
    names.set(one, named);
    const page = named.page(plain(beacon.page), slot.at);
    const release = named.release(beacon.release, slot.at);
    const { device } = beacon;
    for (const { name: metric, value } of beacon.vitals) {
      const name = [release, page, device, metric].join(' ');
      const at = new Date(slot.at).toISOString();
      const key = { gateway, at, service, environment, release, page, device, metric };
      const entry = slot.sketches.get(name) ?? { key, sketch: newSketch(), written: 0 };
      slot.sketches.set(name, entry);
      entry.sketch.add(value);
    }
  }

  async function flush(): Promise<void> {
    const changed = [...slots.values()]
      .flat()
      .flatMap(({ sketches }) => [...sketches.values()])
      .filter(({ sketch, written }) => sketch.samples > written);
    if (changed.length === 0) return;
    const batch = changed.map(({ key, sketch }) => ({ ...key, samples: sketch.samples, sketch: sketch.text() }));
    try {
      await save(batch);
      for (const [index, entry] of changed.entries()) entry.written = batch[index]?.samples ?? entry.written;
    } catch (error) {
      log(`gateway: web vitals could not be written yet: ${String(error)}`);
    }
  }

  const refuse = (reason: string): string => {
    counts.refused[reason] = (counts.refused[reason] ?? 0) + 1;
    return reason;
  };
  const routes = new Hono();
  routes.use(async (c, next) => {
    const origin = c.req.header('origin') ?? '';
    const one = measured.get(origin);
    if (one === undefined) return c.json({ error: refuse('origin') }, 403);
    c.header('access-control-allow-origin', origin);
    c.header('vary', 'Origin');
    if (c.req.method === 'POST' && !allowed(one)) return c.json({ error: refuse('rate') }, 429);
    return await next();
  });
  routes.options('/', (c) => {
    c.header('access-control-allow-methods', 'POST');
    c.header('access-control-allow-headers', 'content-type');
    c.header('access-control-max-age', '86400');
    return c.body(null, 204);
  });
  routes.post(
    '/',
    bodyLimit({ maxSize: BODY_LIMIT, onError: (c) => c.json({ error: refuse('too-large') }, 413) }),
    async (c) => {
      if (!/^(text\/plain|application\/json)\b/i.test(c.req.header('content-type') ?? ''))
        return c.json({ error: refuse('media-type') }, 415);
      const beacon = Beacon.safeParse(await c.req.json().catch(() => undefined));
      if (!beacon.success) return c.json({ error: refuse('malformed') }, 400);
      const one = measured.get(c.req.header('origin') ?? '');
      counts.accepted += 1;
      if (one !== undefined && Math.random() < one.vitals.sample) count(one, beacon.data);
      return c.body(null, 204);
    },
  );

  const shortest = Math.min(
    ...[...measured.values()].map(({ vitals }) => (vitals.windowSeconds * 1000) / SLOTS_PER_WINDOW),
  );
  let writing = Promise.resolve();
  const flushing = setInterval(
    () => void (writing = writing.then(flush)),
    Math.max(1000, Math.min(FLUSH_MS, shortest)),
  );
  return {
    routes,
    refusesAtOnce(request, response) {
      if (request.method !== 'POST' || request.url !== PATH) return false;
      const { origin = '' } = request.headers;
      const one = measured.get(origin);
      if (one !== undefined && allowance(one, performance.now()) >= 1) return false;
      const body = JSON.stringify({ error: refuse(one === undefined ? 'origin' : 'rate') });
      response.writeHead(one === undefined ? 403 : 429, {
        ...(one !== undefined && { 'access-control-allow-origin': origin, vary: 'Origin' }),
        'content-type': 'application/json',
        'content-length': body.length,
      });
      response.end(body);
      return true;
    },
    flush,
    metricsText: () =>
      [
        '# HELP holdfast_gateway_vitals_accepted_total Beacons of real users that were taken.',
        '# TYPE holdfast_gateway_vitals_accepted_total counter',
        `holdfast_gateway_vitals_accepted_total ${counts.accepted}`,
        '# HELP holdfast_gateway_vitals_refused_total Beacons that changed nothing, by reason.',
        '# TYPE holdfast_gateway_vitals_refused_total counter',
        ...Object.entries(counts.refused).map(
          ([reason, count]) => `holdfast_gateway_vitals_refused_total{reason="${reason}"} ${count}`,
        ),
      ]
        .join('\n')
        .concat('\n'),
    async stop() {
      clearInterval(flushing);
      await writing;
      await flush();
    },
  };
}

/** `/orders/1234` is `/orders/:id`: ids are no pages, and may be of people. */
const plain = (page: string): string =>
  page
    .split('/')
    .map((part) =>
      /^(\d+|[0-9a-f]{8,}|[0-9a-f-]{36})$/i.test(part) || part.includes('%') || part.length > 40 ? ':id' : part,
    )
    .join('/')
    .slice(0, 120);
