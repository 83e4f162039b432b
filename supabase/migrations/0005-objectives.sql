create table if not exists public.objective_days (
  service text not null,
  environment text not null,
  objective text not null,
  day date not null,
  total double precision not null check (total >= 0),
  bad double precision not null check (bad >= 0),
  seconds double precision not null check (seconds >= 0),
  primary key (service, environment, objective, day)
);

alter table public.objective_days enable row level security;
revoke all on public.objective_days from public, anon, authenticated, service_role;
grant select on public.objective_days to service_role;
drop policy if exists service_role_reads on public.objective_days;
create policy service_role_reads on public.objective_days for select to service_role using (true);

-- Writes days, whole; one that was measured for less than what is recorded changes nothing. What is older than 400 days goes.
-- Supabase Lite passes a JSON argument as a JSON string of its text; PostgREST passes the object.
create or replace function public.record_objective_days(days jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  body constant jsonb := case jsonb_typeof(days) when 'string' then (days #>> '{}')::jsonb else days end;
begin
  insert into public.objective_days as recorded
  select one ->> 'service', one ->> 'environment', one ->> 'objective', (one ->> 'day')::date,
    (one ->> 'total')::double precision, (one ->> 'bad')::double precision, (one ->> 'seconds')::double precision
  from jsonb_array_elements(body) as one
  on conflict (service, environment, objective, day) do update set
    total = excluded.total, bad = excluded.bad, seconds = excluded.seconds
  where recorded.seconds < excluded.seconds;
  delete from public.objective_days where day < current_date - 400;
  return true;
end $$;
revoke all on function public.record_objective_days(jsonb) from public, anon, authenticated;
grant execute on function public.record_objective_days(jsonb) to service_role;
