/** What is said while the grant of an approved action is on its way, or waited for, and what the authority is told at the end. */
import type { ChangeReport, Grant } from '../../src/contracts/index.ts';
import { incident, skippedTime, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

const granted: Grant = { granted: true, fence: 7 };
/** An incident whose grant is answered so. */
async function start(requestChange: (signal: (name: string) => Promise<void>) => Promise<Grant>) {
  const reports: ChangeReport[] = [];
  const run: Awaited<ReturnType<SkippedTime['start']>> = await time.start('highErrorRate', incident(), {
    requestChange: () => requestChange((name) => run.handle.signal(name, { by: 'lead' })),
    reportChange: async (report) => void reports.push(report),
  });
  return { ...run, reports };
}

it.each([
  ['stop', 'stopped'],
  ['takeOver', 'taken-over'],
])('does nothing under a grant that came after %s', async (name, outcome) => {
  const run = await start(async (signal) => {
    await signal(name);
    return granted;
  });
  await run.decide('approved', 'responder');
  expect(await run.result()).toMatchObject({ outcome });
  expect(run.calls).not.toContain('rollBack');
  expect(run.reports).toMatchObject([{ result: 'failed' }]);
});

it('asks again where the approval has expired before the grant came', async () => {
  let busy = true;
  const run = await start(async (signal) => {
    if (!busy) return granted;
    busy = false;
    await signal('pause');
    return { granted: false, because: 'busy', reason: 'another change runs' };
  });
  const { proposal } = await run.until(({ phase }) => phase === 'waiting');
  await run.decide('approved', 'responder');
  await run.until(({ paused }) => paused);
  await time.env.sleep('3 hours');
  await run.handle.signal('resume', { by: 'lead' });
  const again = await run.until((now) => now.phase === 'waiting' && now.proposal?.id !== proposal?.id);
  expect(again.timeline.map(({ kind }) => kind)).toContain('expired');
  expect(run.calls).not.toContain('rollBack');
  await run.handle.signal('stop', { by: 'test' });
  await run.result();
});

it('tells the authority only of a release that its provider has confirmed', async () => {
  const run = await start(async () => granted);
  await run.until(({ phase }) => phase === 'waiting');
  Object.assign(run.world, { running: 'v3', previous: 'v2' });
  await run.decide('approved', 'responder');
  await run.result();
  expect(run.reports.map(({ result, running }) => ({ result, running }))).toEqual([
    { result: 'failed', running: undefined },
  ]);
});
