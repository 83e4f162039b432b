import { createClient, PostgrestError } from '@supabase/supabase-js';
import { z } from 'zod';
import {
  Finding,
  ObjectiveDay,
  Review,
  TimelineEntry,
  VitalsSlot,
  type Scope,
  type Status,
} from './contracts/index.ts';
import type { AuditEntry } from './audit.ts';
import { failure } from './errors.ts';
import { parsed, request, whole } from './http.ts';

const TIMEOUT_MS = 10_000;
/** PostgREST's words for "there is no such function" and "no such table". */
const NO_SCHEMA = /PGRST202|PGRST205|42883|42P01/;

/** Columns that a search looks into. */
const SEARCHED = ['service', 'environment', 'runbook', 'summary', 'outcome', 'note'];

const At = z.string().transform((at) => new Date(at).toISOString());
const absent = <T>(value: T | null): T | undefined => value ?? undefined;

/** One incident as the record holds it; shown to people, never decided by. */
export const RecordedIncident = z
  .object({
    workflow_id: z.string(),
    run_id: z.string(),
    service: z.string(),
    environment: z.string(),
    runbook: z.string(),
    severity: z.string(),
    phase: z.string(),
    outcome: z.string().nullable().transform(absent),
    opened_at: At,
    closed_at: At.nullable().transform(absent),
    summary: z.string(),
    alerts_distinct: z.number().int(),
    alerts_deliveries: z.number().int(),
    revision: z.number().int(),
    proposal: z.unknown(),
    decision: z.unknown(),
    findings: z.array(Finding),
    note: z.string().nullable().transform(absent),
  })
  .transform(({ workflow_id, run_id, opened_at, closed_at, alerts_distinct, alerts_deliveries, ...rest }) => ({
    ...rest,
    workflowId: workflow_id,
    runId: run_id,
    openedAt: opened_at,
    closedAt: closed_at,
    alerts: { distinct: alerts_distinct, deliveries: alerts_deliveries },
  }));
export type RecordedIncident = z.output<typeof RecordedIncident>;

const Line = TimelineEntry.extend({ at: At, who: z.string().nullable() }).transform(({ who, ...line }) =>
  who === null ? line : { ...line, who },
);

export interface IncidentRecord {
  /** Write a status, whole. False when the record already holds this revision or a newer one. */
  save: (status: Status) => Promise<boolean>;
  /** One incident with its timeline, if it is recorded. */
  incident: (
    workflowId: string,
    runId: string,
  ) => Promise<(RecordedIncident & { timeline: TimelineEntry[] }) | undefined>;
  /** Write a review, whole. False when the record already holds this revision or a newer one. */
  saveReview: (review: Review) => Promise<boolean>;
  /** The review of this id, if it is recorded. */
  review: (id: string) => Promise<Review | undefined>;
  /** Newest first. */
  recentReviews: (limit: number) => Promise<Review[]>;
  /** Newest first, without their timelines. */
  recentIncidents: (limit: number) => Promise<RecordedIncident[]>;
  /** Idempotent: a slot's sketch only grows. */
  saveVitals: (slots: VitalsSlot[]) => Promise<boolean>;
  /** The newest slots that began since then, up to `atMost`; `whole` where there are no more. */
  vitals: (
    of: Scope & { since: string; release?: string | undefined; atMost: number },
  ) => Promise<{ slots: VitalsSlot[]; whole: boolean }>;
  /** Idempotent: of a day, what was measured for longest is kept. */
  saveObjectives: (days: ObjectiveDay[]) => Promise<boolean>;
  /** Of one objective, oldest first, since that day. */
  objectiveDays: (of: Scope & { objective: string; since: string }) => Promise<ObjectiveDay[]>;
  /** Each entry once and for good. False when the record holds others of this trail. */
  saveAudit: (trail: string, entries: AuditEntry[]) => Promise<boolean>;
  /** The last entry of a trail that is recorded, if one is. */
  auditHead: (trail: string) => Promise<z.output<typeof AuditHead> | undefined>;
  /** Newest first, those in which every word of `text` occurs. */
  search: (of: { text: string; limit: number }) => Promise<RecordedIncident[]>;
}

const Slots = z.array(VitalsSlot.extend({ at: At }));
/** Beside `at`: what tells the slots of one environment apart. */
const SLOT_KEY = ['gateway', 'release', 'page', 'device', 'metric'] as const;
const AuditHead = z.object({ seq: z.number().int(), hash: z.string() });
const Reviews = z.array(z.object({ review: Review }));

/** What Postgres can store: `jsonb` refuses U+0000 and half surrogate pairs. */
const storable = (body: Status | Review | AuditEntry[]): unknown =>
  JSON.parse(JSON.stringify(body), (_, value: unknown) =>
    typeof value === 'string' ? value.replaceAll('\u0000', '').toWellFormed() : value,
  );

/** The record that the environment names, if it names one. */
export function recordOf(env: Readonly<Record<string, string | undefined>>): IncidentRecord | undefined {
  const { RECORD_SUPABASE_URL: url, RECORD_SUPABASE_SECRET_KEY: key } = env;
  return url === undefined || key === undefined ? undefined : createRecord({ url, key });
}

/**
 * The record of incidents in Supabase, reached with a secret key (`sb_secret_…`, or the service role's).
 * Every call @throws Unavailable (transient), NotAllowed, or NotConfigured where the migrations were not applied.
 */
export function createRecord({ url, key }: { url: string; key: string }): IncidentRecord {
  const client = createClient(url, key, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    // Our own `request` decides what a status means; what it throws comes through `throwOnError` as it is.
    global: {
      fetch: async (input, init) => {
        const asked = { ...init, signal: AbortSignal.timeout(TIMEOUT_MS), what: 'record' };
        return await whole(await request(new Request(input).url, asked), 'record');
      },
    },
  });

  /** The answer of one call, or its failure. */
  const answer = async <S extends z.ZodType>(
    what: string,
    schema: S,
    call: { retry(enabled: boolean): { throwOnError(): PromiseLike<{ data: unknown }> } },
  ): Promise<z.output<S>> => {
    try {
      const { data } = await call.retry(false).throwOnError();
      return parsed(schema, data, `record: ${what}`);
    } catch (error) {
      if (error instanceof PostgrestError)
        throw failure('UnexpectedResponse', `record: ${what}: the answer is not JSON`);
      if (NO_SCHEMA.test(String(error)))
        throw failure('NotConfigured', `record: ${what}: the schema is missing, apply supabase/migrations`);
      throw error;
    }
  };

  const reviews = () => client.from('incident_reviews').select('review');
  const newest = () => client.from('incidents').select('*').order('opened_at', { ascending: false });

  return {
    save: (status) => answer('save', z.boolean(), client.rpc('record_incident', { status: storable(status) })),
    async incident(workflowId, runId) {
      const one = { workflow_id: workflowId, run_id: runId };
      const [found] = await answer(
        'incident',
        z.array(RecordedIncident),
        client.from('incidents').select('*').match(one),
      );
      if (found === undefined) return undefined;
      const lines = client.from('incident_timeline').select('at,kind,who,what').match(one).order('seq');
      return { ...found, timeline: await answer('timeline', z.array(Line), lines) };
    },
    saveReview: (review) =>
      answer('save review', z.boolean(), client.rpc('record_review', { review: storable(review) })),
    async review(id) {
      const [found] = await answer('review', Reviews, reviews().eq('review_id', id));
      return found?.review;
    },
    async recentReviews(limit) {
      const newest = reviews().order('detected_at', { ascending: false });
      const rows = await answer('recent reviews', Reviews, newest.limit(limit));
      return rows.map(({ review }) => review);
    },
    saveVitals: (slots) => answer('save vitals', z.boolean(), client.rpc('record_web_vitals', { vitals: slots })),
    /** Page by page, for an answer is cut where Supabase caps it: at a thousand rows, where it hosts the project. */
    async vitals({ service, environment, since, release, atMost }) {
      const of = { service, environment, ...(release !== undefined && { release }) };
      const found = new Map<string, VitalsSlot>(); // what is written meanwhile moves a slot into the next page once more
      for (let [read, full] = [0, 0]; read < atMost;) {
        const newest = client
          .from('web_vitals')
          .select('*')
          .match(of)
          .gte('at', since)
          .order('at', { ascending: false });
        const inOrder = SLOT_KEY.reduce((ordered, column) => ordered.order(column), newest);
        const page = await answer('vitals', Slots, inOrder.range(read, atMost - 1));
        for (const slot of page) found.set([slot.at, ...SLOT_KEY.map((column) => slot[column])].join(' '), slot);
        [read, full] = [read + page.length, Math.max(full, page.length)];
        if (page.length === 0 || (page.length < full && read < atMost))
          return { slots: [...found.values()], whole: true };
      }
      return { slots: [...found.values()], whole: false };
    },
    saveObjectives: (days) => answer('save objectives', z.boolean(), client.rpc('record_objective_days', { days })),
    objectiveDays: ({ since, ...of }) =>
      answer(
        'objectives',
        z.array(ObjectiveDay),
        client.from('objective_days').select('*').match(of).gte('day', since).order('day'),
      ),
    saveAudit: (trail, entries) =>
      answer('save audit', z.boolean(), client.rpc('record_audit', { trail, entries: storable(entries) })),
    async auditHead(trail) {
      const of = client.from('audit_trail').select('seq,hash').eq('trail', trail);
      const [head] = await answer('audit', z.array(AuditHead), of.order('seq', { ascending: false }).limit(1));
      return head;
    },
    recentIncidents: (limit) => answer('recent incidents', z.array(RecordedIncident), newest().limit(limit)),
    search({ text, limit }) {
      const words = text.toLowerCase().match(/[\p{L}\p{N}_-]+/gu) ?? [];
      const anywhere = (word: string): string =>
        `or(${SEARCHED.map((column) => `${column}.ilike.%${word}%`).join(',')})`;
      const all = `and(${words.slice(0, 8).map(anywhere).join(',')})`; // one filter: Supabase Lite reads only the last of several
      const found = words.length === 0 ? newest() : newest().or(all);
      return answer('search', z.array(RecordedIncident), found.limit(limit));
    },
  };
}
