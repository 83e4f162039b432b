import { runGameDay } from './gameday.ts';
import { ensurePlatform } from './platform.ts';

/** `npm start`: the platform, its links, the game day; then up until Ctrl-C. */
export async function start(): Promise<void> {
  const platform = await ensurePlatform(console.log);
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    console.log('\nStopping what was started…');
    void platform.end().then(() => process.exit(0));
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
  console.log('');
  for (const [name, link] of Object.entries(platform.links)) console.log(`  ${name.padEnd(12)} ${link}`);
  console.log('\nGame day: high error rate.');
  try {
    const { outcome, timings } = await runGameDay({ scenario: 'high-error-rate', expects: 'mitigated' }, console.log);
    console.log(
      `\nThe incident closed as ${outcome}. From approval to rolled back: ${timings.approvalToRolledBackMs ?? '-'} ms. The record is in Supabase.`,
    );
    console.log('All stays up to look around. Ctrl-C stops everything.');
  } catch (error) {
    if (!stopping) console.error(`The game day ended early: ${error instanceof Error ? error.message : String(error)}`);
  }
  await platform.ended;
}
