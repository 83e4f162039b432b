create table if not exists public.audit_trail (
  trail text not null,
  seq bigint not null,
  at timestamptz not null,
  hash text not null,
  entry jsonb not null,
  primary key (trail, seq)
);
create index if not exists audit_trail_at on public.audit_trail (at);

alter table public.audit_trail enable row level security;
revoke all on public.audit_trail from public, anon, authenticated, service_role;
grant select on public.audit_trail to service_role;
drop policy if exists service_role_reads on public.audit_trail;
create policy service_role_reads on public.audit_trail for select to service_role using (true);

-- Whatever rights a platform grants, only the owner of the table can take an entry out, and must switch this off first.
create or replace function public.audit_trail_is_kept() returns trigger language plpgsql as $$
begin
  raise exception 'entries of the audit trail are neither changed nor dropped';
end $$;
drop trigger if exists kept on public.audit_trail;
create trigger kept before update or delete or truncate on public.audit_trail
for each statement execute function public.audit_trail_is_kept();

-- Writes entries of a trail, each once and for good: true where the record holds these entries now, false where it holds others.
-- Supabase Lite passes a JSON argument as a JSON string of its text; PostgREST passes the object.
create or replace function public.record_audit(trail text, entries jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  body constant jsonb := case jsonb_typeof(entries) when 'string' then (entries #>> '{}')::jsonb else entries end;
begin
  insert into public.audit_trail
  select record_audit.trail, (one ->> 'seq')::bigint, (one ->> 'at')::timestamptz, one ->> 'hash', one
  from jsonb_array_elements(body) as one
  on conflict do nothing;
  return not exists (
    select from jsonb_array_elements(body) as one
    join public.audit_trail as held on held.trail = record_audit.trail and held.seq = (one ->> 'seq')::bigint
    where held.hash <> one ->> 'hash'
  );
end $$;
revoke all on function public.record_audit(text, jsonb) from public, anon, authenticated;
grant execute on function public.record_audit(text, jsonb) to service_role;
