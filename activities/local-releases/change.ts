import { join } from 'node:path';
import { cancellationSignal, heartbeat } from '@temporalio/activity';
import type { Effect, Release, Scope, Settings } from '../../src/contracts/index.ts';
import { failure } from '../../src/errors.ts';
import { mirrorOf } from '../../src/git.ts';
import { locked } from '../../src/locked.ts';
import { environmentOf } from '../../src/withheld.ts';
import type { Front, FrontDoor } from './caddy.ts';
import { checkout } from './checkout.ts';
import * as instances from './instances.ts';
import { abandoned, completed, readState, writeState, type Intent, type State } from './state.ts';

const HEARTBEAT_MS = 1000;

type ReleaseSettings = NonNullable<Settings['services'][number]['environments'][string]['releases']>;
export interface Place extends Scope {
  directory: string;
  healthPath: string;
  releases: ReleaseSettings;
}
/** What shall run. */
export interface Target {
  version: string;
  commit: string;
  count: number;
  summary: string;
}
export interface Order {
  key: string;
  fence: number;
}
/** Says what shall run, given what runs; a text says why nothing is to be done. */
export type Plan = (
  place: Place,
  state: State,
  running: Pick<Release, 'version' | 'instances'> | undefined,
) => Promise<Target | string>;

/** How a change of what runs is made. `inherited` is the worker's environment, read for the names that are withheld. */
export function createChange(of: { stateDir: string; door: FrontDoor; inherited: Record<string, unknown> }) {
  const { stateDir, door, inherited } = of;

  /** End what has no traffic any more, once its requests are answered. */
  async function retire(place: Place, state: State): Promise<State> {
    if (state.retiring.length === 0) return state;
    await door.drain(state.retiring.map(({ port }) => port));
    await instances.endInstances(stateDir, state.retiring);
    return await save(place, { ...state, retiring: [] });
  }

  async function save(place: Place, state: State): Promise<State> {
    await writeState(place.directory, state);
    return state;
  }

  /** Finish, or take back, what a killed worker began. Caddy says which: it has taken the switch or not. */
  async function settle(place: Place, state: State, front: Front | undefined): Promise<State> {
    const { intent } = state;
    if (intent === undefined) return await retire(place, state);
    return await (front?.switchId === intent.switchId ? complete(place, state, intent) : giveUp(place, state, intent));
  }

  async function complete(place: Place, state: State, intent: Intent): Promise<State> {
    await instances.writeTargets(stateDir, { ...place, ...intent.group });
    return await retire(place, await save(place, completed(state, intent)));
  }

  async function giveUp(place: Place, state: State, intent: Intent): Promise<State> {
    return await retire(place, await save(place, abandoned(state, intent)));
  }

  /** Make the target run and take the traffic, with the instances that already do; undefined when it is so already. */
  async function bringUp(place: Place, before: State, front: Front | undefined, target: Target, order: Order) {
    const { version, commit, count, summary } = target;
    const { releases, healthPath } = place;
    const candidates =
      before.running?.commit === commit && before.running.version === version ? before.running.instances : [];
    const proofs = await Promise.all(candidates.map((each) => instances.healthy(stateDir, each, healthPath)));
    const kept = candidates.filter((_, i) => proofs[i]).slice(0, count);
    const pointed = front !== undefined && front.switchId === before.running?.switchId;
    if (pointed && kept.length === count && candidates.length === count) return undefined;

    const own = { ...releases.env, RELEASE: version };
    const environment = environmentOf(inherited, own);
    const cwd = await checkout({
      directory: place.directory,
      mirror: mirrorOf(stateDir, place, releases.repository, cancellationSignal()),
      modules: join(stateDir, 'releases', 'modules'),
      commit,
      install: releases.install,
      env: environment,
    });
    const sequence = before.sequence + count;
    const fresh = [];
    for (let n = before.sequence + 1; n <= before.sequence + count - kept.length; n += 1) {
      const name = `${place.service}-${place.environment}-${version.replaceAll('/', '-')}-${n}`;
      fresh.push({ name, port: await instances.freePort() });
    }
    const intent: Intent = {
      key: order.key,
      fence: order.fence,
      switchId: `${order.key}@${sequence}`,
      at: new Date().toISOString(),
      summary,
      group: { version, commit, instances: [...kept, ...fresh] },
    };
    const state = await save(place, { ...before, sequence, intent });
    const starting = fresh.map((instance) =>
      instances.startInstance({ stateDir, instance, cwd, start: releases.start, env: environment, healthPath }),
    );
    const failed = (await Promise.allSettled(starting)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') {
      await giveUp(place, state, intent);
      throw failed.reason;
    }
    const ports = intent.group.instances.map(({ port }) => port);
    await door.point({
      server: releases.server,
      id: `holdfast-${place.service}-${place.environment}`,
      listen: releases.listen,
      front: { switchId: intent.switchId, version, commit, ports },
    });
    await complete(place, state, intent);
    return intent;
  }

  /** The one way in which anything changes: locked, settled, once per key, fenced, written ahead, read back. */
  async function change(place: Place, order: Order, plan: Plan): Promise<Effect> {
    const beating = setInterval(() => heartbeat(), HEARTBEAT_MS);
    try {
      return await locked(join(place.directory, 'lock.sqlite'), cancellationSignal(), async () => {
        const front = await door.read(place.releases.server);
        const state = await settle(place, await readState(place.directory), front);
        const done = state.done.find(({ key }) => key === order.key);
        if (done !== undefined) return await revive(place, state, front, { ...order, ...done });
        if (order.fence < state.fence)
          throw failure('Fenced', `a later change (${state.fence}) has acted on ${place.service} since ${order.fence}`);
        const fenced = await save(place, { ...state, fence: order.fence });
        const target = await plan(place, fenced, runningOf(fenced, front));
        if (typeof target === 'string') return { changed: false, summary: target };
        const changed = await bringUp(place, fenced, front, target, order);
        if (changed !== undefined) return { changed: true, summary: target.summary };
        const { key } = order;
        await save(place, { ...fenced, done: [{ key, summary: target.summary }, ...fenced.done] });
        return { changed: false, summary: `${target.version} runs already` };
      });
    } finally {
      clearInterval(beating);
    }
  }

  /** A key that was done changes nothing again; but what it left running must run, so dead instances are started anew. */
  async function revive(place: Place, state: State, front: Front | undefined, done: Order & { summary: string }) {
    const { running } = state;
    if (running?.key === done.key)
      await bringUp(place, state, front, { ...running, count: running.instances.length, summary: done.summary }, done);
    return { changed: false, summary: `done already: ${done.summary}` };
  }

  return change;
}

/** Caddy's word; where it was restarted and has none, what was running last. */
const runningOf = ({ running }: State, front: Front | undefined) =>
  running === undefined
    ? front && { version: front.version, instances: front.ports.length }
    : { version: front?.version ?? running.version, instances: running.instances.length };
