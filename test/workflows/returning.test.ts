/** Where the rollback of an incident goes: to what was verified good, is not held, and can be served. */
import type { Ledger, Release } from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { incident, skippedTime, type SkippedTime } from '../support/skipped-time.ts';

let time: SkippedTime;
beforeEach(async () => {
  time = await skippedTime();
});
afterEach(() => time.close());

const at = '2026-01-01T12:00:00.000Z';
const release = (version: string): Release => ({
  version,
  commit: `commit-of-${version}`,
  deployedAt: at,
  weight: 1,
  instances: 2,
});
/** v2 runs, which has the new error; these ran before it, newest first. */
const ranBefore = (...versions: string[]): Partial<Ports> => {
  const recent = ['v2', ...versions].map(release);
  return { recentReleases: async () => ({ running: release('v2'), previous: recent[1], recent, maxInstances: 4 }) };
};
const knows = (of: Partial<Ledger>): Partial<Ports> => ({
  ledger: async ({ environment }) => ({ environment, changes: [], ...of }),
});
const good = (version: string) => ({ version, commit: `commit-of-${version}`, digest: `tree:${version}`, at });
const held = [{ version: 'v1', reason: 'it loses orders', at }];
const unserved: Partial<Ports> = {
  servable: async ({ commits }) => commits.map((commit) => ({ commit, servable: false, reason: '0007 took it away' })),
};

it('goes past what was never verified good, and says so', async () => {
  const run = await time.start('highErrorRate', incident(), {
    ...ranBefore('v1.1', 'v1'),
    ...knows({ verified: [good('v1')] }),
  });
  const { proposal } = await run.until(({ phase }) => phase === 'waiting');
  expect(proposal?.action).toMatchObject({ kind: 'roll-back', from: 'v2', to: 'v1' });
  expect(proposal?.why).toContain('never verified good: v1.1');
  await run.handle.signal('stop', { by: 'test' });
  await run.result();
});

it.each<[string, Partial<Ports>, string]>([
  ['is held', { ...ranBefore('v1'), ...knows({ held }) }, 'last verified good'],
  ['the schema no longer serves', { ...ranBefore('v1'), ...unserved }, 'the schema can serve v1'],
])('proposes no return to a release that %s', async (_, world, check) => {
  const run = await time.start('highErrorRate', incident(), world);
  expect(await run.result()).toMatchObject({ outcome: 'handed-over' });
  const { findings, timeline } = await run.status();
  expect(findings.map((one) => one.check)).toContain(check);
  expect(timeline.map(({ kind }) => kind)).not.toContain('proposed');
});

it('returns to what ran before where neither ledger nor schema can be asked', async () => {
  const away = async (): Promise<never> => {
    throw Object.assign(new Error('away'), { name: 'Away' });
  };
  const run = await time.start('highErrorRate', incident(), { ...ranBefore('v1'), ledger: away, servable: away });
  const { proposal, findings } = await run.until(({ phase }) => phase === 'waiting');
  expect(proposal?.action).toMatchObject({ to: 'v1' });
  expect(findings.find(({ check }) => check === 'last verified good')).toMatchObject({ verdict: 'unknown' });
  await run.handle.signal('stop', { by: 'test' });
  await run.result();
});
