-- The record of incidents: a projection of workflow histories, for people and reports. Nothing decides by it.
-- Every statement may be run again. Needs the roles anon, authenticated and service_role (Supabase has them).

create table if not exists public.incidents (
  workflow_id text not null,
  run_id text not null,
  service text not null,
  environment text not null,
  runbook text not null,
  severity text not null,
  phase text not null,
  outcome text,
  opened_at timestamptz not null,
  closed_at timestamptz,
  summary text not null,
  alerts_distinct integer not null,
  alerts_deliveries integer not null,
  revision integer not null,
  proposal jsonb,
  decision jsonb,
  findings jsonb not null,
  note text,
  recorded_at timestamptz not null default now(),
  primary key (workflow_id, run_id)
);
create index if not exists incidents_by_service on public.incidents (service, environment, opened_at desc);
create index if not exists incidents_by_time on public.incidents (opened_at desc);

create table if not exists public.incident_timeline (
  workflow_id text not null,
  run_id text not null,
  seq integer not null,
  at timestamptz not null,
  kind text not null,
  who text,
  what text not null,
  primary key (workflow_id, run_id, seq),
  foreign key (workflow_id, run_id) references public.incidents (workflow_id, run_id) on delete cascade
);

-- Only the service role reads; nobody but the function below writes.
alter table public.incidents enable row level security;
alter table public.incident_timeline enable row level security;
revoke all on public.incidents, public.incident_timeline from public, anon, authenticated, service_role;
grant select on public.incidents, public.incident_timeline to service_role;
drop policy if exists service_role_reads on public.incidents;
create policy service_role_reads on public.incidents for select to service_role using (true);
drop policy if exists service_role_reads on public.incident_timeline;
create policy service_role_reads on public.incident_timeline for select to service_role using (true);

-- Writes one status, whole. True when it was newer than what is recorded; an older or equal revision changes nothing.
-- Supabase Lite passes a JSON argument as a JSON string of its text; PostgREST passes the object.
create or replace function public.record_incident(status jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  body constant jsonb := case jsonb_typeof(status) when 'string' then (status #>> '{}')::jsonb else status end;
  workflow constant text := body ->> 'workflowId';
  run constant text := body ->> 'runId';
  incident constant jsonb := body -> 'incident';
  timeline constant jsonb := coalesce(body -> 'timeline', '[]');
begin
  insert into public.incidents as recorded (
    workflow_id, run_id, service, environment, runbook, severity, phase, outcome, opened_at, closed_at, summary,
    alerts_distinct, alerts_deliveries, revision, proposal, decision, findings, note
  ) values (
    workflow, run, incident ->> 'service', incident ->> 'environment', body ->> 'runbook', incident ->> 'severity',
    body ->> 'phase', body ->> 'outcome', (incident ->> 'openedAt')::timestamptz,
    case when body ->> 'phase' = 'closed' then (timeline -> -1 ->> 'at')::timestamptz end,
    incident ->> 'summary', (body -> 'alerts' ->> 'distinct')::integer, (body -> 'alerts' ->> 'deliveries')::integer,
    (body ->> 'revision')::integer, body -> 'proposal', body -> 'decision', coalesce(body -> 'findings', '[]'),
    body ->> 'note'
  )
  on conflict (workflow_id, run_id) do update set
    service = excluded.service, environment = excluded.environment, runbook = excluded.runbook,
    severity = excluded.severity, phase = excluded.phase, outcome = excluded.outcome, opened_at = excluded.opened_at,
    closed_at = excluded.closed_at, summary = excluded.summary, alerts_distinct = excluded.alerts_distinct,
    alerts_deliveries = excluded.alerts_deliveries, revision = excluded.revision, proposal = excluded.proposal,
    decision = excluded.decision, findings = excluded.findings, note = excluded.note, recorded_at = now()
  where recorded.revision < excluded.revision;
  if not found then
    return false;
  end if;

  insert into public.incident_timeline as line (workflow_id, run_id, seq, at, kind, who, what)
  select workflow, run, seq, (entry ->> 'at')::timestamptz, entry ->> 'kind', entry ->> 'who', entry ->> 'what'
  from jsonb_array_elements(timeline) with ordinality as entries (entry, seq)
  on conflict (workflow_id, run_id, seq) do update set
    at = excluded.at, kind = excluded.kind, who = excluded.who, what = excluded.what
  where (line.at, line.kind, line.who, line.what) is distinct from (excluded.at, excluded.kind, excluded.who, excluded.what);
  delete from public.incident_timeline
  where workflow_id = workflow and run_id = run and seq > jsonb_array_length(timeline);
  return true;
end $$;
revoke all on function public.record_incident(jsonb) from public, anon, authenticated;
grant execute on function public.record_incident(jsonb) to service_role;
