-- Reviews of incidents in the record: whole, with what is searched and counted beside it. Every statement may be run again.

create table if not exists public.incident_reviews (
  review_id text primary key,
  workflow_id text not null,
  run_id text not null,
  service text not null,
  environment text not null,
  runbook text not null,
  severity text not null,
  outcome text not null,
  state text not null,
  detected_at timestamptz not null,
  ended_at timestamptz not null,
  cause text,
  cause_state text,
  open_items integer not null,
  document text,
  revision integer not null,
  review jsonb not null,
  recorded_at timestamptz not null default now()
);
create index if not exists incident_reviews_by_service on public.incident_reviews (service, environment, detected_at desc);

-- Only the service role reads; nobody but the function below writes.
alter table public.incident_reviews enable row level security;
revoke all on public.incident_reviews from public, anon, authenticated, service_role;
grant select on public.incident_reviews to service_role;
drop policy if exists service_role_reads on public.incident_reviews;
create policy service_role_reads on public.incident_reviews for select to service_role using (true);

-- Writes one review, whole. True when it was newer than what is recorded; an older or equal revision changes nothing.
create or replace function public.record_review(review jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  body constant jsonb := case jsonb_typeof(review) when 'string' then (review #>> '{}')::jsonb else review end;
  times constant jsonb := body -> 'times';
begin
  insert into public.incident_reviews as recorded (
    review_id, workflow_id, run_id, service, environment, runbook, severity, outcome, state, detected_at, ended_at,
    cause, cause_state, open_items, document, revision, review
  ) values (
    body ->> 'id', body ->> 'workflowId', body ->> 'runId', body ->> 'service', body ->> 'environment', body ->> 'runbook',
    body ->> 'severity', body ->> 'outcome', body ->> 'state', (times ->> 'detectedAt')::timestamptz,
    (times ->> 'endedAt')::timestamptz, body -> 'causes' -> 0 ->> 'what', body -> 'causes' -> 0 ->> 'state',
    (select count(*) from jsonb_array_elements(body -> 'actionItems') item where item ->> 'state' = 'open'),
    body -> 'document' ->> 'path', (body ->> 'revision')::integer, body
  )
  on conflict (review_id) do update set
    outcome = excluded.outcome, state = excluded.state, cause = excluded.cause, cause_state = excluded.cause_state,
    open_items = excluded.open_items, document = excluded.document, revision = excluded.revision,
    review = excluded.review, recorded_at = now()
  where recorded.revision < excluded.revision;
  return found;
end $$;
revoke all on function public.record_review(jsonb) from public, anon, authenticated;
grant execute on function public.record_review(jsonb) to service_role;
