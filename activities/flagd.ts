/** Feature flags in a file of flagd's format, read by OpenFeature's flagd provider. */
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { approvedAction } from '../src/approved.ts';
import { CachingState, SwitchOffFlag, TurnOnCaching } from '../src/contracts/index.ts';
import type { Approval, Effect, FlagState, Scope, Settings } from '../src/contracts/index.ts';
import type { Caching, Flags } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { parsed } from '../src/http.ts';
import { readIfThere, writeWhole } from '../src/processes.ts';
import { cachingOf, isCaching, untilCaching } from './flagd/caching.ts';

const REMEMBERED = 200;

export const env = z.object({ HOLDFAST_STATE_DIR: z.string() });

/** Source: https://flagd.dev/reference/flag-definitions/ */
const Flag = z.looseObject({
  state: z.enum(['ENABLED', 'DISABLED']),
  variants: z.record(z.string(), z.unknown()),
  defaultVariant: z.string(),
});
type Flag = z.output<typeof Flag>;
const File = z.looseObject({ flags: z.record(z.string(), Flag) });
type File = z.output<typeof File>;

/** What of an action a flag needs. */
type Setting = Scope & { flag: string; from: string; to: string };

/** What an approval does to a flag, written before it is done. */
const Change = z.object({
  id: z.string(),
  flag: z.string(),
  before: Flag,
  after: Flag,
  stage: z.enum(['intended', 'done', 'undone']),
});
type Change = z.output<typeof Change>;
const Memory = z.object({ fence: z.number().int().default(0), changes: z.array(Change).default([]) });
type Memory = z.output<typeof Memory>;

export function createActivities({ HOLDFAST_STATE_DIR }: z.output<typeof env>, settings: Settings) {
  const placeOf = ({ service, environment }: Scope) => {
    const file = settings.services.find(({ name }) => name === service)?.environments[environment]?.flags?.file;
    if (file === undefined) throw failure('NotConfigured', `${service}/${environment} has no flags configured`);
    return { file, memoryFile: join(HOLDFAST_STATE_DIR, 'flags', service, `${environment}.json`) };
  };

  /** Replace one flag and nothing else, and read it back. */
  async function put(file: string, name: string, flag: Flag): Promise<void> {
    const now = await readFlags(file);
    await writeWhole(file, `${JSON.stringify({ ...now, flags: { ...now.flags, [name]: flag } }, null, 2)}\n`, 0o644);
    if (!isDeepStrictEqual((await readFlags(file)).flags[name], flag))
      throw failure('Unavailable', `${name} was written to ${file} by someone else at the same moment`);
  }

  async function remember(memoryFile: string, memory: Memory, change?: Change): Promise<void> {
    const changes =
      change === undefined ? memory.changes : [change, ...memory.changes.filter(({ id }) => id !== change.id)];
    await mkdir(dirname(memoryFile), { recursive: true });
    await writeWhole(memoryFile, JSON.stringify({ ...memory, changes: changes.slice(0, REMEMBERED) }));
  }

  const assertNotFenced = (fence: number, { fence: highest }: Memory): void => {
    if (fence < highest) throw failure('Fenced', `a later change (${highest}) has acted on the flags since ${fence}`);
  };

  /** Set a flag to a variant of this value for everyone. */
  async function set(approval: Approval, action: Setting, value: boolean): Promise<Effect> {
    const { file, memoryFile } = placeOf(action);
    const [memory, now] = [await readMemory(memoryFile), await flagOf(file, action.flag)];
    const summary = `${action.flag} is switched from ${action.from} to ${action.to}`;
    const known = memory.changes.find(({ id }) => id === approval.id);
    if (known !== undefined && known.stage !== 'intended')
      return { changed: false, summary: `done already: ${summary}` };
    if (known !== undefined && isDeepStrictEqual(now, known.after)) {
      await remember(memoryFile, memory, { ...known, stage: 'done' });
      return { changed: false, summary: `done already: ${summary}` };
    }
    assertNotFenced(approval.fence, memory);
    if (now.defaultVariant !== action.from)
      throw failure('StaleApproval', `${action.flag} is at ${now.defaultVariant}, not at ${action.from}`);
    if (now.variants[action.to] !== value)
      throw failure('Refused', `"${action.to}" is no ${value ? 'on' : 'off'} variant of ${action.flag}`);
    const { targeting: _, ...untargeted } = now;
    const after: Flag = { ...untargeted, defaultVariant: action.to };
    const change: Change = { id: approval.id, flag: action.flag, before: now, after, stage: 'intended' };
    const fenced = { ...memory, fence: approval.fence };
    await remember(memoryFile, fenced, change);
    await put(file, action.flag, after);
    await remember(memoryFile, fenced, { ...change, stage: 'done' });
    return { changed: true, summary };
  }

  async function restore({ id, fence }: Approval, action: Setting): Promise<Effect> {
    const { file, memoryFile } = placeOf(action);
    const [memory, now] = [await readMemory(memoryFile), await flagOf(file, action.flag)];
    const known = memory.changes.find((one) => one.id === id);
    if (known === undefined) return { changed: false, summary: 'it was not switched: nothing to undo' };
    if (known.stage === 'undone' || isDeepStrictEqual(now, known.before)) {
      await remember(memoryFile, memory, { ...known, stage: 'undone' });
      return { changed: false, summary: `${action.flag} is as it was already` };
    }
    assertNotFenced(fence, memory);
    if (!isDeepStrictEqual(now, known.after))
      throw failure('StaleApproval', `${action.flag} was changed by someone else; it was left as it is`);
    await put(file, action.flag, known.before);
    await remember(memoryFile, { ...memory, fence }, { ...known, stage: 'undone' });
    return { changed: true, summary: `${action.flag} is at ${known.before.defaultVariant} again` };
  }

  return {
    /** The boolean flags that have an off variant. `enabled` when it is not at it. */
    async flagStates(scope: Scope): Promise<FlagState[]> {
      const { flags } = await readFlags(placeOf(scope).file);
      return Object.entries(flags).flatMap(([flag, { state, variants, defaultVariant }]) => {
        const [off] = Object.entries(variants).find(([, value]) => value === false) ?? [];
        if (off === undefined) return [];
        return [{ flag, variant: defaultVariant, off, enabled: state === 'ENABLED' && defaultVariant !== off }];
      });
    },
    /**
     * Set a flag to its off variant for everyone: targeting, which could overrule it, is taken out and remembered. Idempotent on
     * `approval.id`. Readers see it when they read the file again (flagd's file provider: within five seconds).
     * @throws StaleApproval (permanent) when it is not at `from`; Fenced; NotFound.
     */
    async switchOff(approval: Approval<SwitchOffFlag>): Promise<Effect> {
      return await set(approval, approvedAction(SwitchOffFlag, approval), false);
    },
    /**
     * Restore the flag as it was. Nothing happens when it was not switched off.
     * @throws Fenced (permanent) when a later change has acted on the flags since; StaleApproval when someone has changed it.
     */
    async undoSwitchOff(approval: Approval<SwitchOffFlag>): Promise<Effect> {
      return await restore(approval, approvedAction(SwitchOffFlag, approval));
    },
    /** The routes of `performance.caching`, with their flags and what they answer now. */
    async cachingStates(scope: Scope): Promise<CachingState[]> {
      const { routes, url } = cachingOf(settings, scope);
      const { flags } = await readFlags(placeOf(scope).file);
      const states = await Promise.all(
        routes.map(async ({ route, path, flag }) => {
          const [on] = Object.entries(flags[flag]?.variants ?? {}).find(([, value]) => value === true) ?? [];
          if (on === undefined) throw failure('NotFound', `the flag ${flag} of ${route} has no on variant`);
          const now = await isCaching(url, path).catch((error: Error) => {
            if ((error as { type?: string }).type === 'NotFound') return undefined; // not in this release
            throw error;
          });
          return now && { route, path, flag, variant: flags[flag]?.defaultVariant ?? '', on, ...now };
        }),
      );
      return states.flatMap((state) => (state === undefined ? [] : [CachingState.parse(state)]));
    },
    /**
     * Set the flag of a route to its on variant for everyone, and wait until its answers may be kept. Idempotent on `approval.id`.
     * Heartbeats every second. @throws as `switchOff`; Refused (permanent) when the service does not honour the flag.
     */
    async turnOnCaching(approval: Approval<TurnOnCaching>): Promise<Effect> {
      const action = approvedAction(TurnOnCaching, approval);
      const { url } = cachingOf(settings, action);
      const { changed, summary } = await set(approval, action, true);
      return { changed, summary: `${summary}; ${await untilCaching(url, action)}` };
    },
    /** As `undoSwitchOff`. */
    async undoTurnOnCaching(approval: Approval<TurnOnCaching>): Promise<Effect> {
      return await restore(approval, approvedAction(TurnOnCaching, approval));
    },
  } satisfies Flags & Caching;
}

async function readFlags(file: string): Promise<File> {
  const text = await readFile(file, 'utf8').catch(() => {
    throw failure('Unavailable', `the flags file ${file} cannot be read`);
  });
  return parsed(File, json(text), file);
}

async function flagOf(file: string, name: string): Promise<Flag> {
  const flag = (await readFlags(file)).flags[name];
  if (flag === undefined) throw failure('NotFound', `${file} has no flag "${name.slice(0, 100)}"`);
  return flag;
}

const readMemory = async (file: string): Promise<Memory> =>
  parsed(Memory, json((await readIfThere(file)) ?? '{}'), file);

const json = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
