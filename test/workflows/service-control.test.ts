import type { WorkflowHandle } from '@temporalio/client';
import type { ChangeReport, ChangeRequest, Freeze, Grant } from '../../src/contracts/index.ts';
import type { Control, KillSwitch, Terms } from '../../workflows/service-control.ts';
import { skippedTime, type SkippedRun, type SkippedTime } from '../support/skipped-time.ts';

const COOL_DOWN_MS = 10 * 60 * 1000;
const LEASE_MS = 30 * 60 * 1000;
let time: SkippedTime;
let keep: SkippedRun['keep'] | undefined;

afterEach(() => keep?.('watching'));
beforeAll(async () => {
  time = await skippedTime();
});
afterAll(async () => {
  await time.close();
});

/** A control of its own for each test, and its messages. */
async function startControl() {
  const empty: Control = {
    service: 'shop',
    fence: 0,
    killSwitch: { on: false, by: 'nobody', reason: '' },
    ledgers: {},
  };
  const { handle, ...run } = await time.start('serviceControl', empty);
  const control: WorkflowHandle = handle;
  keep = run.keep;
  const scope = { service: 'shop', environment: 'production' };
  return {
    ask: (key: string, change: Partial<ChangeRequest> = {}): Promise<Grant> =>
      control.executeUpdate<Grant, [ChangeRequest & Terms]>('requestChange', {
        args: [
          {
            ...scope,
            key,
            holder: `incident.${key}`,
            kind: 'roll-back',
            summary: `change ${key}`,
            ...change,
            coolDownMs: COOL_DOWN_MS,
            leaseMs: LEASE_MS,
          },
        ],
      }),
    tell: (key: string, result: ChangeReport['result'], running?: string): Promise<void> =>
      control.executeUpdate<void, [ChangeReport]>('reportChange', {
        args: [{ ...scope, key, result, ...(running === undefined ? {} : { running }) }],
      }),
    kill: (on: boolean): Promise<void> =>
      control.executeUpdate<void, [KillSwitch]>('setKillSwitch', { args: [{ on, by: 'cto', reason: 'audit' }] }),
    freeze: (freeze?: Freeze): Promise<void> =>
      control.executeUpdate<void, [{ environment: string; freeze?: Freeze }]>('setFreeze', {
        args: [{ environment: 'production', ...(freeze && { freeze }) }],
      }),
    signalled: async (): Promise<string[]> => {
      const { events } = await handle.fetchHistory();
      return (events ?? []).flatMap(({ signalExternalWorkflowExecutionInitiatedEventAttributes: sent }) =>
        sent ? [`${sent.signalName} to ${sent.workflowExecution?.workflowId}/${sent.workflowExecution?.runId}`] : [],
      );
    },
    report: (report: Omit<ChangeReport, 'service' | 'environment'>): Promise<void> =>
      control.executeUpdate<void, [ChangeReport]>('reportChange', { args: [{ ...scope, ...report }] }),
    ledger: async (environment = 'production') => (await control.query<Control>('control')).ledgers[environment],
    changes: async () =>
      Object.fromEntries(
        ((await control.query<Control>('control')).ledgers['production']?.changes ?? []).map(({ key, result }) => [
          key,
          result,
        ]),
      ),
  };
}

it('grants one change of an environment at a time, and the next when the first has ended', async () => {
  const { ask, tell } = await startControl();
  expect(await ask('a')).toEqual({ granted: true, fence: 1 });
  expect(await ask('b')).toMatchObject({
    granted: false,
    because: 'busy',
    reason: 'another change runs: change a (incident.a)',
  });
  expect(await ask('c', { environment: 'staging' })).toMatchObject({ granted: true });
  await tell('a', 'failed');
  expect(await ask('b')).toMatchObject({ granted: true });
});

it('gives a repeated request the fence it had, and every new grant a higher one', async () => {
  const { ask, tell, ledger } = await startControl();
  expect(await ask('a')).toEqual({ granted: true, fence: 1 });
  expect(await ask('a')).toEqual({ granted: true, fence: 1 });
  await tell('a', 'failed');
  expect(await ask('b')).toEqual({ granted: true, fence: 2 });
  await tell('b', 'failed');
  expect(await ask('c', { kind: 'deploy' })).toEqual({ granted: true, fence: 3 });
  expect((await ledger())?.changes.map(({ key, fence }) => [key, fence])).toEqual([
    ['c', 3],
    ['b', 2],
    ['a', 1],
  ]);
});

it('refuses every kind of change while the kill switch is on', async () => {
  const { ask, kill, ledger } = await startControl();
  await kill(true);
  for (const kind of ['roll-back', 'switch-off-flag', 'scale', 'deploy'] as const)
    expect(await ask(kind, { kind })).toEqual({
      granted: false,
      because: 'kill-switch',
      reason: 'the kill switch is on (cto: audit)',
    });
  expect((await ledger())?.changes).toEqual([]);
  await kill(false);
  expect(await ask('later')).toEqual({ granted: true, fence: 1 });
});

it('holds another incident off after a change until the cool-down is over, but not the same incident', async () => {
  const { ask, tell } = await startControl();
  await ask('first', { holder: 'incident.a' });
  await tell('first', 'verified');
  expect(await ask('other', { holder: 'incident.b' })).toMatchObject({ granted: false, because: 'cool-down' });
  expect(await ask('second', { holder: 'incident.a' })).toMatchObject({ granted: true });
  await tell('second', 'undone');
  expect(await ask('other', { holder: 'incident.b' })).toMatchObject({ granted: false, because: 'cool-down' });
  await time.env.sleep(COOL_DOWN_MS + 1000);
  expect(await ask('other', { holder: 'incident.b' })).toMatchObject({ granted: true });
});

it('asks no cool-down after a change that failed, nor of a deployment', async () => {
  const { ask, tell } = await startControl();
  await ask('failed');
  await tell('failed', 'failed');
  expect(await ask('next')).toMatchObject({ granted: true });
  await tell('next', 'verified');
  expect(await ask('release', { kind: 'deploy' })).toMatchObject({ granted: true });
});

it('lets a rollback take over from a running deployment, whose report then changes nothing', async () => {
  const { ask, tell, changes, ledger } = await startControl();
  expect(await ask('deploy', { kind: 'deploy' })).toEqual({ granted: true, fence: 1 });
  expect(await ask('scale', { kind: 'scale' })).toMatchObject({ granted: false, because: 'busy' });
  expect(await ask('rollback')).toEqual({ granted: true, fence: 2 });
  await tell('deploy', 'verified', 'v2');
  expect(await changes()).toEqual({ rollback: 'open', deploy: 'expired' });
  expect((await ledger())?.running).toBeUndefined();
});

it('lets a rollback act beside an index that is being made, which goes on, and no other change', async () => {
  const { ask, tell } = await startControl();
  await ask('i', { kind: 'create-index' });
  expect(await ask('r')).toMatchObject({ granted: true, fence: 2 });
  await tell('r', 'verified', 'v1');
  expect(await ask('s', { kind: 'scale', override: true })).toMatchObject({ granted: false, because: 'busy' });
  await tell('i', 'verified');
  expect(await ask('s', { kind: 'scale', override: true })).toMatchObject({ granted: true });
});

it('never lets a deployment take over from a rollback', async () => {
  const { ask } = await startControl();
  await ask('rollback');
  expect(await ask('deploy', { kind: 'deploy' })).toMatchObject({ granted: false, because: 'busy' });
});

it('lets a lease end after 30 minutes, so that a holder that died blocks nobody for good', async () => {
  const { ask, changes } = await startControl();
  await ask('dead');
  await time.env.sleep('29 minutes');
  expect(await ask('waiting')).toMatchObject({ granted: false, because: 'busy' });
  await time.env.sleep('2 minutes');
  await ask('waiting', { kind: 'deploy' });
  expect(await changes()).toEqual({ waiting: 'open', dead: 'expired' });
});

it('asks no cool-down of another incident after a lease that ran out', async () => {
  const { ask } = await startControl();
  await ask('dead');
  await time.env.sleep('31 minutes');
  expect(await ask('other')).toMatchObject({ granted: true });
});

it('keeps what runs and what was last verified good, each as it was told', async () => {
  const { ask, tell, ledger } = await startControl();
  await ask('v1', { kind: 'deploy' });
  await tell('v1', 'verified', 'v1');
  expect(await ledger()).toMatchObject({ running: 'v1', lastVerifiedGood: 'v1' });
  await ask('v2', { kind: 'deploy' });
  await tell('v2', 'unverified', 'v2');
  expect(await ledger()).toMatchObject({ running: 'v2', lastVerifiedGood: 'v1' });
  await ask('back');
  await tell('back', 'verified', 'v1');
  await tell('back', 'failed', 'v0'); // told twice: the first word stands
  expect(await ledger()).toMatchObject({
    running: 'v1',
    lastVerifiedGood: 'v1',
    changes: [{ result: 'verified' }, { result: 'unverified' }, { result: 'verified' }],
  });
});

it('holds deployments while an environment is frozen, never a rollback, and lets an override through', async () => {
  const { ask, freeze } = await startControl();
  await freeze({ by: 'cto', reason: 'audit' });
  expect(await ask('d', { kind: 'deploy' })).toMatchObject({
    granted: false,
    because: 'frozen',
    reason: 'production is frozen by cto: audit',
  });
  expect(await ask('o', { kind: 'deploy', override: true })).toMatchObject({ granted: true });
  expect(await ask('r')).toMatchObject({ granted: true });
  await freeze();
  expect(await ask('d2', { kind: 'deploy', environment: 'staging' })).toMatchObject({ granted: true });
});

it('holds the next step of a deployment that is under way when a freeze begins, with the grant it has', async () => {
  const { ask, freeze } = await startControl();
  expect(await ask('d', { kind: 'deploy' })).toMatchObject({ granted: true, fence: 1 });
  await freeze({ by: 'cto', reason: 'audit', until: '2000-01-01T00:00:00Z' });
  expect(await ask('d', { kind: 'deploy' })).toMatchObject({ granted: true, fence: 1 }); // over long ago
  await freeze({ by: 'cto', reason: 'audit' });
  expect(await ask('d', { kind: 'deploy' })).toMatchObject({ granted: false, because: 'frozen' });
  await freeze();
  expect(await ask('d', { kind: 'deploy' })).toMatchObject({ granted: true, fence: 1 });
});

it('tells a deployment that a rollback has taken over from it, and signals it', async () => {
  const { ask, signalled } = await startControl();
  await ask('d', { kind: 'deploy', holder: 'deployment.shop.production/run-1' });
  expect(await ask('r')).toMatchObject({ granted: true, fence: 2 });
  expect(await ask('d', { kind: 'deploy' })).toMatchObject({ granted: false, because: 'superseded' });
  expect(await signalled()).toEqual(['supersede to deployment.shop.production/run-1']);
});

it('keeps what was verified good, newest first, and what is held until it is verified', async () => {
  const { ask, report, ledger } = await startControl();
  const release = (version: string) => ({ version, commit: `c-${version}`, digest: `tree:${version}` });
  for (const version of ['1', '2']) {
    await ask(version, { kind: 'deploy' });
    await report({ key: version, result: 'verified', running: version, release: release(version) });
  }
  await ask('back');
  await report({
    key: 'back',
    result: 'verified',
    running: '1',
    release: release('1'),
    held: { version: '2', reason: 'bad' },
  });
  expect(await ledger()).toMatchObject({
    running: '1',
    lastVerifiedGood: '1',
    verified: [release('1'), release('2')],
    held: [{ version: '2', reason: 'bad' }],
  });
  await ask('again', { kind: 'deploy' });
  await report({ key: 'again', result: 'verified', running: '2', release: release('2') });
  expect((await ledger())?.held).toEqual([]);
});

it('does not hold a rollback that a person asked for by a cool-down', async () => {
  const { ask, tell } = await startControl();
  await ask('a');
  await tell('a', 'verified', 'v1');
  expect(await ask('b')).toMatchObject({ granted: false, because: 'cool-down' });
  expect(await ask('c', { override: true })).toMatchObject({ granted: true });
});
