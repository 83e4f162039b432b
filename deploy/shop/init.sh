#!/bin/sh
# Run once, by Postgres' image, over an empty volume: the shop's database, and the role by which Holdfast looks at it and mends it.
set -eu
secret() { cat "/run/secrets/$1"; }
psql --set ON_ERROR_STOP=1 --username postgres \
  --set shop="$(secret shop_owner_password)" \
  --set authenticator="$(secret shop_authenticator_password)" <<'SQL'
create role anon nologin;
create role authenticated nologin;
create role service_role nologin bypassrls;
create role authenticator login noinherit password :'authenticator';
grant anon, authenticated, service_role to authenticator;
create role shop login password :'shop';
create database shop owner shop;
alter database shop set search_path = "$user", public, extensions;
\connect shop
create schema extensions;
grant usage on schema extensions to public;
create extension pg_stat_statements schema extensions;
SQL
psql --set ON_ERROR_STOP=1 --username postgres --dbname shop --file /holdfast/roles.sql
psql --set ON_ERROR_STOP=1 --username postgres --dbname shop --set holdfast="$(secret shop_holdfast_password)" <<'SQL'
alter role holdfast password :'holdfast';
grant shop to holdfast with inherit false, set true;
SQL
for migration in /migrations/*.sql; do
  psql --set ON_ERROR_STOP=1 --username postgres --dbname shop --single-transaction --command 'set role shop' --file "$migration"
done
