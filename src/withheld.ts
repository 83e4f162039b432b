import { dirname } from 'node:path';

/** Variables of the control plane that a service's own programs must not see. */
const WITHHELD =
  /^(HOLDFAST|TEMPORAL|SUPABASE|RECORD|BUGSINK|SENTRY|SHOP|CADDY|BACKUP|MIGRATIONS|PGBOUNCER|GITHUB)_|SECRET|TOKEN|PASSWORD|PRIVATE|DSN|_KEY$|DATABASE_URL/;

/**
 * The environment laid over the worker's for a program of a service: the pinned Node first in `PATH`, nothing of the control
 * plane's. `inherited` is the worker's, read for its names.
 */
export function environmentOf(inherited: Record<string, unknown>, own: Record<string, string>): Record<string, string> {
  const withheld = Object.keys(inherited).filter((name) => WITHHELD.test(name));
  return {
    ...Object.fromEntries(withheld.map((name) => [name, ''])),
    PATH: `${dirname(process.execPath)}:${typeof inherited['PATH'] === 'string' ? inherited['PATH'] : '/usr/local/bin:/usr/bin:/bin'}`,
    ...own,
  };
}
