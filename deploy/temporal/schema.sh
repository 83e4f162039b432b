#!/bin/sh
# Temporal's databases, made or brought up to date; run again after every upgrade of Temporal, before its server.
set -eu
SQL_PASSWORD="$(cat /run/secrets/temporal_password)"
export SQL_PASSWORD
for database in temporal temporal_visibility; do
  schema=${database#temporal_}
  tool() { temporal-sql-tool --plugin postgres12 --ep postgres -p 5432 -u temporal --db "$database" "$@"; }
  tool create
  tool setup-schema -v 0.0 || true # it is there after the first time
  tool update-schema -d "/etc/temporal/schema/postgresql/v12/$schema/versioned"
done
