import { join } from 'node:path';
import { z } from 'zod';
import { Instant } from '../../src/contracts/index.ts';
import { failure } from '../../src/errors.ts';
import { readIfThere, writeWhole } from '../../src/processes.ts';

const HISTORY = 20;
const DONE = 200;

const Instance = z.object({ name: z.string(), port: z.number().int() });
export type Instance = z.output<typeof Instance>;

const Group = z.object({ version: z.string(), commit: z.string(), instances: z.array(Instance) });

/** A release beside the running one; Caddy's server of its own listens on `port`. */
const Beside = Group.extend({ weight: z.number(), port: z.number().int() });

/** A change of traffic, written before anything is started. `switchId` is what Caddy says once it has happened. */
const Intent = z.object({
  key: z.string(),
  fence: z.number().int(),
  switchId: z.string(),
  at: Instant,
  summary: z.string(),
  group: Group,
  canary: Beside.optional(),
});
export type Intent = z.output<typeof Intent>;

const State = z.object({
  /** The highest that was seen. */
  fence: z.number().int().default(0),
  /** Numbers the instances. */
  sequence: z.number().int().default(0),
  running: Group.extend({ key: z.string(), switchId: z.string(), at: Instant }).optional(),
  canary: Beside.optional(),
  intent: Intent.optional(),
  /** Instances without traffic that are still to be ended. */
  retiring: z.array(Instance).default([]),
  /** Switches from one release to another, newest first. */
  history: z
    .array(Group.omit({ instances: true }).extend({ key: z.string(), fence: z.number().int(), at: Instant }))
    .default([]),
  /** Keys whose change has happened, newest first. */
  done: z.array(z.object({ key: z.string(), summary: z.string(), changed: z.boolean().default(true) })).default([]),
});
export type State = z.output<typeof State>;

/** Empty before the first change. @throws UnexpectedResponse (permanent) when the file was changed by something else; Unavailable. */
export async function readState(directory: string): Promise<State> {
  const file = join(directory, 'state.json');
  const text = (await readIfThere(file)) ?? '{}';
  try {
    return State.parse(JSON.parse(text));
  } catch {
    throw failure('UnexpectedResponse', `${file} is not what this wrote`);
  }
}

export async function writeState(directory: string, state: State): Promise<void> {
  await writeWhole(join(directory, 'state.json'), JSON.stringify(State.parse(state), null, 2));
}

/** The state after Caddy has taken the intent. The time of a release stays when only its instances changed. */
export function completed(state: State, { key, fence, switchId, at, summary, group, canary }: Intent): State {
  const before = state.running;
  const same = before?.version === group.version && before.commit === group.commit;
  const kept = new Set([...group.instances, ...(canary?.instances ?? [])].map(({ name }) => name));
  const { intent: _, canary: beside, ...rest } = state;
  return {
    ...rest,
    running: { ...group, key, switchId, at: same ? before.at : at },
    ...(canary && { canary }),
    retiring: [
      ...state.retiring,
      ...[...(before?.instances ?? []), ...(beside?.instances ?? [])].filter(({ name }) => !kept.has(name)),
    ],
    history: same
      ? state.history
      : [{ version: group.version, commit: group.commit, key, fence, at }, ...state.history].slice(0, HISTORY),
    done: [{ key, summary, changed: true }, ...state.done.filter((each) => each.key !== key)].slice(0, DONE),
  };
}

/** The state after an intent that moved no traffic: what it started is to be ended. */
export function abandoned(state: State, { group, canary }: Intent): State {
  const { intent: _, ...rest } = state;
  const serving = [...(state.running?.instances ?? []), ...(state.canary?.instances ?? [])];
  const names = new Set(serving.map(({ name }) => name));
  const begun = [...group.instances, ...(canary?.instances ?? [])];
  return { ...rest, retiring: [...state.retiring, ...begun.filter(({ name }) => !names.has(name))] };
}
