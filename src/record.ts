import { createClient, PostgrestError } from '@supabase/supabase-js';
import { z } from 'zod';
import { Finding, TimelineEntry, type Status } from './contracts/index.ts';
import { failure } from './errors.ts';
import { parsed, request } from './http.ts';

const TIMEOUT_MS = 10_000;
/** PostgREST's words for "there is no such function" and "no such table". */
const NO_SCHEMA = /PGRST202|PGRST205|42883|42P01/;

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
  /** Newest first, without their timelines. */
  recentIncidents: (limit: number) => Promise<RecordedIncident[]>;
}

/** What Postgres can store: `jsonb` refuses U+0000 and half surrogate pairs. */
const storable = (status: Status): unknown =>
  JSON.parse(JSON.stringify(status), (_, value: unknown) =>
    typeof value === 'string' ? value.replaceAll('\u0000', '').toWellFormed() : value,
  );

/**
 * The record of incidents in Supabase, reached with a secret key (`sb_secret_…`, or the service role's).
 * Every call @throws Unavailable (transient), NotAllowed, or NotConfigured where the migrations were not applied.
 */
export function createRecord({ url, key }: { url: string; key: string }): IncidentRecord {
  const client = createClient(url, key, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    // Our own `request` decides what a status means; what it throws comes through `throwOnError` as it is.
    global: {
      fetch: (input, init) =>
        request(new Request(input).url, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS), what: 'record' }),
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
    recentIncidents: (limit) =>
      answer(
        'recent incidents',
        z.array(RecordedIncident),
        client.from('incidents').select('*').order('opened_at', { ascending: false }).limit(limit),
      ),
  };
}
