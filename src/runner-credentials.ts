import type { Environment, Settings } from './contracts/index.ts';

const always = (): boolean => true;

/** Variables that hold what it takes to reach into an environment, by what of its configuration has them used. */
export const REACHING_CREDENTIALS: Record<string, (of: Environment) => boolean> = {
  SUPABASE_SECRET_KEY: always,
  SUPABASE_DB_URL: always,
  PGBOUNCER_ADMIN_URL: ({ database }) => database.pool !== undefined,
  SUPABASE_ACCESS_TOKEN: ({ database }) => database.project !== undefined,
  CADDY_ADMIN_URL: ({ releases }) => releases !== undefined,
  MIGRATIONS_DB_URL: ({ deployment }) => deployment.migrations !== undefined,
  BACKUP_DB_URL: ({ deployment }) => deployment.backup !== undefined,
  BACKUP_SCRATCH_DB_URL: ({ deployment }) => deployment.backup !== undefined,
  PROMETHEUS_TOKEN: ({ metrics }) => metrics?.source === 'prometheus',
};

/**
 * What a process of the control plane holds although it is for runners alone: credentials that only environments with a runner
 * of their own use. One that an environment without a runner uses, too, is taken for that one's.
 */
export function strayCredentials(
  env: Readonly<Record<string, string | undefined>>,
  { services }: Settings,
): { variable: string; says: string; remedy: string }[] {
  const environments = services.flatMap(({ name, environments }) =>
    Object.entries(environments).map(([environment, of]) => ({ name: `${name}/${environment}`, of })),
  );
  return Object.entries(REACHING_CREDENTIALS).flatMap(([variable, uses]) => {
    const using = environments.filter(({ of }) => uses(of));
    if (env[variable] === undefined || using.length === 0) return [];
    if (using.some(({ of }) => of.taskQueue === undefined)) return [];
    const names = using.map(({ name }) => name).join(', ');
    const queues = [...new Set(using.map(({ of }) => of.taskQueue))].join(', ');
    const says = `${variable} is set here, and only ${names} has a use for it, whose runner serves ${queues}`;
    return [{ variable, says, remedy: `unset ${variable} here, and set it where the runner is` }];
  });
}
