import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createActivities } from '../../activities/drills.ts';
import type { DrillReport } from '../../src/contracts/index.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { settings } from './settings.ts';

const config = join(__dirname, '..', '..', 'holdfast.config.ts');
const folder = scratchFolder();
const before = { ...process.env };
beforeEach(() => {
  process.env['HOLDFAST_STATE_DIR'] = folder;
  process.env['HOLDFAST_TOOLS_DIR'] ??= join(__dirname, '..', '..', '.holdfast', 'tools');
});
afterEach(() => {
  process.env = { ...before };
});
afterAll(() => removeScratch(folder));

const drill = () => {
  const of = { service: 'shop', environment: 'production', type: 'highErrorRate', runbook: 'high-error-rate' };
  return new MockActivityEnvironment().run((): Promise<DrillReport> =>
    createActivities({ HOLDFAST_CONFIG: config }, settings).drillRunbook(of),
  );
};

it('runs the real runbook to its end in skipped time', async () => {
  const report = await drill();
  expect(report).toMatchObject({ passed: true, note: 'mitigated: Roll shop back from v2 to v1' });
  expect(report.timeline.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['approved', 'acted', 'verified']));
}, 120_000);

it('says so where the machine has no server that skips time', async () => {
  Object.assign(process.env, { HOLDFAST_TOOLS_DIR: join(folder, 'no-tools'), PATH: '/nonexistent' });
  await expect(drill()).rejects.toMatchObject({
    type: 'NotProved',
    nonRetryable: true,
    message: expect.stringMatching(
      /^the drill of high-error-rate could not be run: this machine has no Temporal server that skips time/,
    ),
  });
}, 60_000);
