import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { openAudit, type Audited } from '../../src/audit.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startPostgres } from '../../src/embedded/postgres.ts';
import { startSupabase } from '../../src/embedded/supabase.ts';
import { keepAudit } from '../../src/gateway/audit-keeper.ts';
import { verifyTrail } from '../../src/operations/audited.ts';
import { findProcess } from '../../src/processes.ts';
import { recordOf } from '../../src/record.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';

let [platform, stateDir] = ['', ''];
let env: Record<string, string>;
let databaseUrl: string;
beforeAll(async () => {
  platform = scratchFolder();
  databaseUrl = (await startPostgres({ stateDir: platform, port: await freePort() })).url;
  const supabase = await startSupabase({ stateDir: platform, port: await freePort(), databaseUrl });
  env = { RECORD_SUPABASE_URL: supabase.url, RECORD_SUPABASE_SECRET_KEY: supabase.secretKey };
}, 120_000);
afterAll(() => removeScratch(platform));
beforeEach(() => {
  stateDir = scratchFolder();
});
afterEach(() => removeScratch(stateDir));

const entry: Audited = { who: 'lead', via: 'console', what: 'approved', on: 'incident.shop.high', result: 'done' };
/** Note so many entries, as one process does. */
function note(count: number, of: Audited = entry): void {
  const audit = openAudit(stateDir);
  for (let noted = 0; noted < count; noted += 1) audit.write(of);
  audit.close();
}
const verify = () => verifyTrail(stateDir, recordOf(env));
const recorded = (count: number) => until(async () => (await verify()).recorded === count);
const keeping = (log: string[] = []) =>
  keepAudit({ stateDir, env, leads: () => true, log: (line) => void log.push(line), everyMs: 50 });

it('keeps every entry in the record once, those of before and after a restart too', async () => {
  note(450);
  let kept = keeping();
  await recorded(450);
  note(1);
  await recorded(451);
  await kept?.stop();
  note(2);
  kept = keeping();
  await recorded(453);
  await kept?.stop();
  expect(await verify()).toEqual({ entries: 453, recorded: 453 });
});

it('says once that the record is away, and copies what was noted meanwhile when it is back', async () => {
  const supabase = await findProcess(platform, 'supabase');
  const hang = (signal: NodeJS.Signals) => process.kill(-(supabase?.pid ?? NaN), signal);
  const said: string[] = [];
  note(1);
  hang('SIGSTOP');
  const kept = keeping(said);
  try {
    await until(() => said.length > 0);
    note(1);
  } finally {
    hang('SIGCONT');
  }
  await recorded(2);
  await kept?.stop();
  expect(said).toEqual([expect.stringContaining('the audit trail is not copied into the record: ')]);
}, 120_000);

it('finds a chain that was made anew, head and all, and one that has lost its end', async () => {
  note(3);
  const kept = keeping();
  await recorded(3);
  await kept?.stop();
  const file = join(stateDir, 'audit.jsonl');
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  const forge = (whole: string[]) => {
    writeFileSync(file, whole.map((line) => `${line}\n`).join(''));
    rmSync(join(stateDir, 'audit.sqlite'));
  };
  forge(lines.slice(0, 2));
  expect((await verify()).fault).toBe('the record holds 1 more at its end');
  note(1, { ...entry, who: 'somebody else' }); // follows from the second entry
  expect((await verify()).fault).toBe('the record holds another entry 3: the chain was made anew');
  const said: string[] = [];
  const again = keeping(said);
  await until(() => said.length > 0);
  await again?.stop();
  expect(said[0]).toContain('the record holds another audit trail than this folder');
});

it('lets nobody change or drop an entry with the key of the record', async () => {
  note(1);
  const kept = keeping();
  await recorded(1);
  await kept?.stop();
  const database = new Client({ connectionString: databaseUrl });
  await database.connect();
  try {
    await database.query('set role service_role');
    for (const statement of ['update audit_trail set at = now()', 'delete from audit_trail', 'truncate audit_trail'])
      await expect(database.query(statement)).rejects.toThrow('neither changed nor dropped');
  } finally {
    await database.end();
  }
});
