import { runGameDay } from './gameday.ts';
import { FAULTS } from './gameday/faults.ts';
import { ensurePlatform, howToSignIn } from './platform.ts';

/** `npm start`: the platform, its links, the game day; then up until Ctrl-C. */
export async function start(): Promise<void> {
  const platform = await ensurePlatform(console.log);
  const showLinks = (): void => {
    console.log('');
    for (const [name, link] of Object.entries(platform.links)) console.log(`  ${name.padEnd(12)} ${link}`);
    console.log(`\n${howToSignIn()}`);
  };
  if (platform.joined) {
    showLinks();
    console.log('\nPlay a game day on it with: npm run -s holdfast -- gameday high-error-rate');
    return;
  }
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    void platform.end().then(() => process.exit(0));
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
  showLinks();
  console.log('\nGame day: high error rate.');
  try {
    const { outcome, timings } = await runGameDay(
      { scenario: 'high-error-rate', fault: FAULTS['bad-release'], expects: 'mitigated' },
      console.log,
    );
    console.log(
      `\nThe incident closed as ${outcome}. From approval to rolled back: ${timings.approvalToRolledBackMs ?? '-'} ms. The record is in Supabase.`,
    );
    console.log('All stays up to look around. Ctrl-C stops everything.');
  } catch (error) {
    if (!stopping) console.error(`The game day ended early: ${error instanceof Error ? error.message : String(error)}`);
  }
  await platform.ended;
}
