import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createActivities } from '../../activities/flagd.ts';
import { Settings } from '../../src/contracts/index.ts';
import { isUntouched, makeUnreadable } from '../support/unreadable.ts';
import { asActivity } from './git-rig.ts';
import { serving } from './http-server.ts';
import { approval } from './local-releases-rig.ts';
import { settings } from './settings.ts';

const on = { service: 'shop', environment: 'production' };
const targeting = { if: [{ '==': [{ var: 'user' }, 'a'] }, 'on', 'off'] };
const original = {
  $schema: 'https://flagd.dev/schema/v0/flags.json',
  flags: {
    'express-checkout': { state: 'ENABLED', variants: { on: true, off: false }, defaultVariant: 'on', targeting },
    banner: { state: 'ENABLED', variants: { red: 'red', blue: 'blue' }, defaultVariant: 'red' },
  },
};
let folder: string;
let file: string;
let flags: ReturnType<typeof createActivities>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-flags-'));
  file = join(folder, 'flags.json');
  await writeFile(file, JSON.stringify(original));
  const [shop] = settings.services;
  const environments = { production: { ...shop!.environments['production'], flags: { file } } };
  const own = Settings.parse({ ...settings, services: [{ name: 'shop', environments }] });
  flags = createActivities({ HOLDFAST_STATE_DIR: join(folder, 'state') }, own);
});
afterEach(() => rm(folder, { recursive: true }));

const now = async () => JSON.parse(await readFile(file, 'utf8')) as typeof original;
const off = (id: string, { from = 'on', to = 'off', fence = 1, flag = 'express-checkout' } = {}) =>
  approval(id, { kind: 'switch-off-flag', ...on, flag, from, to }, fence);

it('lists the flags that can be switched off', async () => {
  expect(await flags.flagStates(on)).toEqual([{ flag: 'express-checkout', variant: 'on', off: 'off', enabled: true }]);
});

it('switches a flag off for everyone, once, and leaves the rest of the file as it is', async () => {
  expect(await flags.switchOff(off('a'))).toMatchObject({ changed: true });
  const { targeting: _, ...untargeted } = original.flags['express-checkout'];
  const expected = { ...original.flags, 'express-checkout': { ...untargeted, defaultVariant: 'off' } };
  expect(await now()).toEqual({ ...original, flags: expected });
  expect(await flags.switchOff(off('a'))).toMatchObject({ changed: false });
  expect(await flags.flagStates(on)).toMatchObject([{ variant: 'off', enabled: false }]);
});

it('restores it with its targeting, once', async () => {
  expect(await flags.undoSwitchOff(off('a'))).toMatchObject({ changed: false });
  await flags.switchOff(off('a'));
  expect(await flags.undoSwitchOff(off('a'))).toMatchObject({ changed: true });
  expect(await now()).toEqual(original);
  expect(await flags.undoSwitchOff(off('a'))).toMatchObject({ changed: false });
});

it('does not switch off again what a person has switched on since', async () => {
  await flags.switchOff(off('a'));
  await writeFile(file, JSON.stringify(original));
  expect(await flags.switchOff(off('a'))).toMatchObject({ changed: false });
  expect(await now()).toEqual(original);
});

it('leaves alone on undo what someone has changed since', async () => {
  await flags.switchOff(off('a'));
  const changed = await now();
  changed.flags['express-checkout'].state = 'DISABLED';
  await writeFile(file, JSON.stringify(changed));
  await expect(flags.undoSwitchOff(off('a'))).rejects.toMatchObject({ type: 'StaleApproval' });
  expect(await now()).toEqual(changed);
});

it('leaves off on undo what a later change has switched off meanwhile', async () => {
  await flags.switchOff(off('a', { fence: 3 }));
  await writeFile(file, JSON.stringify(original)); // a person has switched it on again
  await flags.switchOff(off('b', { fence: 4 }));
  const after = await now();
  const fenced = { type: 'Fenced', nonRetryable: true };
  await expect(flags.undoSwitchOff(off('a', { fence: 3 }))).rejects.toMatchObject(fenced);
  expect(await now()).toEqual(after);
  expect(await flags.undoSwitchOff(off('b', { fence: 4 }))).toMatchObject({ changed: true });
});

it('finishes what a killed worker had only noted, and notes what it had only done', async () => {
  const memory = join(folder, 'state', 'flags', 'shop', 'production.json');
  await flags.switchOff(off('a'));
  const intended = (await readFile(memory, 'utf8')).replace('"done"', '"intended"');
  await writeFile(memory, intended);
  expect(await flags.switchOff(off('a'))).toMatchObject({ changed: false });
  await writeFile(memory, intended);
  await writeFile(file, JSON.stringify(original));
  expect(await flags.switchOff(off('a'))).toMatchObject({ changed: true });
});

it('switches nothing while what it has switched before cannot be read', async () => {
  const memory = join(folder, 'state', 'flags', 'shop', 'production.json');
  await makeUnreadable(memory);
  await expect(flags.switchOff(off('a'))).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
  await expect(flags.undoSwitchOff(off('a'))).rejects.toMatchObject({ type: 'Unavailable', nonRetryable: false });
  expect(await now()).toEqual(original);
  expect(await isUntouched(memory)).toBe(true);
});

it('refuses what is stale, fenced, unknown or no off variant', async () => {
  await expect(flags.switchOff(off('a', { from: 'off' }))).rejects.toMatchObject({ type: 'StaleApproval' });
  await expect(flags.switchOff(off('a', { to: 'on' }))).rejects.toMatchObject({ type: 'Refused' });
  await expect(flags.switchOff(off('a', { flag: 'nope' }))).rejects.toMatchObject({ type: 'NotFound' });
  await flags.switchOff(off('a', { fence: 7 }));
  await expect(flags.switchOff(off('b', { fence: 6, from: 'off' }))).rejects.toMatchObject({ type: 'Fenced' });
  const other = approval('c', { kind: 'scale', ...on, from: 1, to: 2 }, 9);
  await expect(flags.switchOff(other as never)).rejects.toMatchObject({ type: 'NotAllowed' });
  await writeFile(file, '{"flags":');
  await expect(flags.flagStates(on)).rejects.toMatchObject({ type: 'UnexpectedResponse' });
});

describe('caching of a route', () => {
  const action = {
    kind: 'turn-on-caching',
    ...on,
    route: 'GET /api/recommendations',
    path: '/api/recommendations',
    flag: 'cache',
    from: 'off',
    to: 'on',
  } as const;
  const uncached = { state: 'ENABLED', variants: { on: true, off: false }, defaultVariant: 'off' };
  let asked: number;

  /** A service that reads the flag at every request, or takes no notice of it. */
  const withService = async (honours: boolean, work: (provider: typeof flags) => Promise<void>): Promise<void> => {
    asked = 0;
    await writeFile(file, JSON.stringify({ ...original, flags: { ...original.flags, cache: uncached } }));
    const answer = () => {
      const { flags: now } = JSON.parse(readFileSync(file, 'utf8')) as { flags: { cache: typeof uncached } };
      if (!honours || now.cache.defaultVariant === 'off') return { headers: { 'cache-control': 'no-store' } };
      return { headers: { 'cache-control': 'public, max-age=30', age: String((asked += 1)) } };
    };
    await using server = await serving(answer);
    const { url } = server;
    const [shop] = settings.services;
    const caching = [{ route: action.route, path: action.path, flag: action.flag }];
    const production = { ...shop!.environments['production'], url, flags: { file }, performance: { caching } };
    const own = Settings.parse({ ...settings, services: [{ name: 'shop', environments: { production } }] });
    await work(createActivities({ HOLDFAST_STATE_DIR: join(folder, 'state') }, own));
  };

  it('is turned on by its flag, read back from its answers, and taken back', () =>
    withService(true, async (provider) => {
      const state = { route: action.route, path: action.path, flag: 'cache', on: 'on' };
      expect(await provider.cachingStates(on)).toEqual([
        { ...state, variant: 'off', caching: false, header: 'no-store' },
      ]);
      const turnOn = () => asActivity(() => provider.turnOnCaching(approval('a', action, 1)));
      const effect = await turnOn();
      expect(effect).toMatchObject({
        changed: true,
        summary: expect.stringMatching(/max-age=30", from a cache \(Age \d+\)/),
      });
      expect(await turnOn()).toMatchObject({ changed: false });
      expect(await provider.cachingStates(on)).toMatchObject([{ variant: 'on', caching: true }]);
      expect(await provider.undoTurnOnCaching(approval('a', action, 1))).toMatchObject({ changed: true });
      expect(await provider.cachingStates(on)).toMatchObject([{ variant: 'off', caching: false }]);
    }));

  it('is refused where the service does not honour the flag', () =>
    withService(false, async (provider) => {
      await expect(asActivity(() => provider.turnOnCaching(approval('a', action, 1)))).rejects.toMatchObject({
        type: 'Refused',
        message: expect.stringContaining('does not honour the flag'),
      });
      expect(await provider.undoTurnOnCaching(approval('a', action, 1))).toMatchObject({ changed: true });
    }));
});
