/** Brings the schema of the record up to date, each file of `supabase/migrations` once. Run before what reads it. */
import { join } from 'node:path';
import { cannotStart, readConfig } from '../config.ts';
import { migrate } from './migrations.ts';
import { ROOT } from './tools.ts';

try {
  const { RECORD_DB_URL: url } = readConfig().env;
  if (url === undefined) throw new Error("set RECORD_DB_URL: the record's Postgres, as the owner of its tables");
  const applied = await migrate({ url, root: ROOT, folders: [join(ROOT, 'supabase/migrations')] });
  console.log(applied.map((name) => `applied ${name}`).join('\n') || 'the schema of the record is up to date');
} catch (error) {
  cannotStart(error);
}
