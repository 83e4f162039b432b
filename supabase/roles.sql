-- The role that Holdfast diagnoses and mends the application's database with. Run it once as an administrator of the database,
-- then give the role a password and put its connection string into SUPABASE_DB_URL:
--
--   psql "$ADMIN_URL" -f supabase/roles.sql
--   alter role holdfast password '…';
--
-- It sees what every session does (pg_monitor) and may end sessions that are no superuser's (pg_signal_backend). It reads no
-- table, owns nothing and is no superuser. A worker has two connections at most, so that the limit below does for two workers: let
-- it be higher where there are more. It works beside a database that refuses everybody else: on Postgres 16 or newer keep
-- slots for it with `reserved_connections = 3` (needs a restart of the server) and the last grant below.
do $$ begin
  if not exists (select from pg_roles where rolname = 'holdfast') then
    create role holdfast login connection limit 4;
  end if;
end $$;
grant pg_monitor, pg_signal_backend to holdfast;
do $$ begin
  if current_setting('server_version_num')::int >= 160000 then
    grant pg_use_reserved_connections to holdfast;
  end if;
end $$;

-- To explain slow statements and make indexes it must be able to become the owner of the tables, and only for that
-- (`database.ownerRole` in holdfast.config.ts). Leave it out, and it proposes no index.
--
--   grant <owner> to holdfast with inherit false, set true;   -- Postgres 16 or newer
--
-- Before 16 a grant always carries every right of the owner along: prefer to make the index yourself there.
