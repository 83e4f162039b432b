#!/bin/sh
# Run once, by Postgres' image, over an empty volume: the roles of Temporal and of Supabase's parts, and the
# record without its schema, which record-schema makes.
set -eu
secret() { cat "/run/secrets/$1"; }
psql --set ON_ERROR_STOP=1 --username postgres \
  --set temporal="$(secret temporal_password)" \
  --set authenticator="$(secret authenticator_password)" \
  --set auth="$(secret auth_password)" <<'SQL'
create role temporal login createdb password :'temporal';
create role anon nologin;
create role authenticated nologin;
create role service_role nologin bypassrls;
create role authenticator login noinherit password :'authenticator';
grant anon, authenticated, service_role to authenticator;
create role supabase_auth_admin login noinherit createrole password :'auth';
create database holdfast;
\connect holdfast
create schema auth authorization supabase_auth_admin;
create schema extensions;
grant usage on schema extensions, public to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to service_role;
alter default privileges in schema public grant all on sequences to service_role;
alter default privileges in schema public grant execute on functions to service_role;
SQL
