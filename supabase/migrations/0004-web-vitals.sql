-- Web vitals of real users: one sketch per gateway, slot of time and key. A sketch only grows within its slot.
create table if not exists public.web_vitals (
  gateway uuid not null,
  at timestamptz not null,
  service text not null,
  environment text not null,
  release text not null,
  page text not null,
  device text not null,
  metric text not null,
  samples integer not null check (samples > 0),
  sketch text not null,
  primary key (gateway, at, service, environment, release, page, device, metric)
);
create index if not exists web_vitals_by_service on public.web_vitals (service, environment, at);

alter table public.web_vitals enable row level security;
revoke all on public.web_vitals from public, anon, authenticated, service_role;
grant select on public.web_vitals to service_role;
drop policy if exists service_role_reads on public.web_vitals;
create policy service_role_reads on public.web_vitals for select to service_role using (true);

-- Writes sketches, whole; one with fewer samples than is recorded changes nothing. What is older than four weeks goes.
-- Supabase Lite passes a JSON argument as a JSON string of its text; PostgREST passes the object.
create or replace function public.record_web_vitals(vitals jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  body constant jsonb := case jsonb_typeof(vitals) when 'string' then (vitals #>> '{}')::jsonb else vitals end;
begin
  insert into public.web_vitals as recorded
  select (one ->> 'gateway')::uuid, (one ->> 'at')::timestamptz, one ->> 'service', one ->> 'environment',
    one ->> 'release', one ->> 'page', one ->> 'device', one ->> 'metric', (one ->> 'samples')::integer, one ->> 'sketch'
  from jsonb_array_elements(body) as one
  on conflict (gateway, at, service, environment, release, page, device, metric) do update set
    samples = excluded.samples, sketch = excluded.sketch
  where recorded.samples < excluded.samples;
  delete from public.web_vitals where at < now() - interval '28 days';
  return true;
end $$;
revoke all on function public.record_web_vitals(jsonb) from public, anon, authenticated;
grant execute on function public.record_web_vitals(jsonb) to service_role;
