const number = (name: string, fallback: number): number => Number(process.env[name] ?? fallback);
const text = (name: string): string | undefined => process.env[name] || undefined;

/** What the shop reads of its environment. */
export const config = {
  host: text('HOST') ?? '127.0.0.1',
  port: number('PORT', 3000),
  /** The release that runs, such as `v1`. */
  version: text('RELEASE') ?? 'development',
  supabaseUrl: text('SUPABASE_URL') ?? 'http://127.0.0.1:54321',
  supabaseKey: text('SUPABASE_PUBLISHABLE_KEY') ?? text('SUPABASE_SECRET_KEY') ?? 'development',
  databaseUrl: text('DATABASE_URL'),
  sentryDsn: text('SENTRY_DSN'),
  /** The script by which browsers report their web vitals. */
  vitalsScript: text('VITALS_SCRIPT'),
  flagsFile: text('FLAGS_FILE'),
};
