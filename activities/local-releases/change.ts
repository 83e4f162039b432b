import { join } from 'node:path';
import { cancellationSignal } from '@temporalio/activity';
import { beating } from '../../src/beating.ts';
import type { Effect, Release, Scope, Settings } from '../../src/contracts/index.ts';
import { failure } from '../../src/errors.ts';
import { mirrorOf } from '../../src/git.ts';
import { locked } from '../../src/locked.ts';
import { environmentOf } from '../../src/withheld.ts';
import type { Front, FrontDoor } from './caddy.ts';
import { checkout } from './checkout.ts';
import * as instances from './instances.ts';
import { abandoned, completed, readState, writeState, type Instance, type Intent, type State } from './state.ts';

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
  /** Name of an instance that shall not go on. */
  without?: string;
  /** What shall run beside it, with so many percent of the traffic. */
  canary?: { version: string; commit: string; count: number; weight: number };
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
    const groups = [intent.group, ...(intent.canary ? [intent.canary] : [])];
    await instances.writeTargets(stateDir, { ...place, groups });
    return await retire(place, await save(place, completed(state, intent)));
  }

  async function giveUp(place: Place, state: State, intent: Intent): Promise<State> {
    return await retire(place, await save(place, abandoned(state, intent)));
  }

  /** Who serves a release: the instances that do so already and are healthy, and as many new ones as are missing. */
  async function crewOf(
    place: Place,
    { running, canary }: State,
    { version, commit, count, without }: Pick<Target, 'version' | 'commit' | 'count' | 'without'>,
    sequence: number,
  ) {
    const serving = [running, canary].flatMap((group) =>
      group?.commit === commit && group.version === version ? group.instances : [],
    );
    const candidates = serving.filter(({ name }) => name !== without);
    const proofs = await Promise.all(candidates.map((each) => instances.healthy(stateDir, each, place.healthPath)));
    const kept = candidates.filter((_, i) => proofs[i]).slice(0, count);
    const fresh = [];
    for (let n = sequence + 1; n <= sequence + count - kept.length; n += 1) {
      const name = `${place.service}-${place.environment}-${version.replaceAll('/', '-')}-${n}`;
      fresh.push({ name, port: await instances.freePort() });
    }
    const complete = kept.length === count && candidates.length === count;
    return { instances: [...kept, ...fresh], fresh, complete, sequence: sequence + count };
  }

  /** Start instances of a release, all healthy or none: what fails is thrown when all are settled. */
  async function start(place: Place, { version, commit }: Pick<Target, 'version' | 'commit'>, fresh: Instance[]) {
    if (fresh.length === 0) return;
    const { releases, healthPath } = place;
    const env = environmentOf(inherited, { ...releases.env, RELEASE: version });
    const cwd = await checkout({
      directory: place.directory,
      mirror: mirrorOf(stateDir, place, releases.repository, cancellationSignal()),
      modules: join(stateDir, 'releases', 'modules'),
      commit,
      install: releases.install,
      build: releases.build,
      env,
    });
    const starting = fresh.map((instance) =>
      instances.startInstance({ stateDir, instance, cwd, start: releases.start, env, healthPath }),
    );
    const failed = (await Promise.allSettled(starting)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  /** Make the target run and take the traffic, with the instances that already do; undefined when it is so already. */
  async function bringUp(place: Place, before: State, front: Front | undefined, target: Target, order: Order) {
    const { version, commit, summary } = target;
    const { releases } = place;
    const main = await crewOf(place, before, target, before.sequence);
    const side = target.canary && (await crewOf(place, before, target.canary, main.sequence));
    const pointed = front !== undefined && front.switchId === before.running?.switchId;
    const shared = target.canary?.weight === before.canary?.weight && side?.complete !== false;
    if (pointed && main.complete && shared) return undefined;

    const { sequence } = side ?? main;
    const intent: Intent = {
      key: order.key,
      fence: order.fence,
      switchId: `${order.key}@${sequence}`,
      at: new Date().toISOString(),
      summary,
      group: { version, commit, instances: main.instances },
      ...(target.canary &&
        side && {
          canary: {
            version: target.canary.version,
            commit: target.canary.commit,
            instances: side.instances,
            weight: target.canary.weight,
            port: before.canary?.port ?? (await instances.freePort()),
          },
        }),
    };
    const state = await save(place, { ...before, sequence, intent });
    try {
      await start(place, target, main.fresh);
      if (target.canary && side) await start(place, target.canary, side.fresh);
    } catch (error) {
      await giveUp(place, state, intent);
      throw error;
    }
    const ports = intent.group.instances.map(({ port }) => port);
    await door.point({
      server: releases.server,
      id: `holdfast-${place.service}-${place.environment}`,
      listen: releases.listen,
      front: { switchId: intent.switchId, version, commit, ports, canary: sideOf(intent) },
    });
    await complete(place, state, intent);
    return intent;
  }

  /** The one way in which anything changes: locked, settled, once per key, fenced, written ahead, read back. */
  async function change(place: Place, order: Order, plan: Plan): Promise<Effect> {
    return await beating(async () => {
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
        await save(place, { ...fenced, done: [{ key, summary: target.summary, changed: false }, ...fenced.done] });
        return { changed: false, summary: `${target.version} runs already` };
      });
    });
  }

  /** A key that was done changes nothing again; but what it left running must run, so dead instances are started anew. */
  async function revive(place: Place, state: State, front: Front | undefined, done: Order & State['done'][number]) {
    const { running, canary } = state;
    if (running?.key === done.key) {
      const side = canary && { ...canary, count: canary.instances.length };
      const { version, commit, instances: crew } = running;
      const target = { version, commit, count: crew.length, summary: done.summary, ...(side && { canary: side }) };
      await bringUp(place, state, front, target, done);
    }
    return { changed: false, repeated: done.changed, summary: `done already: ${done.summary}` };
  }

  return change;
}

/** The canary of an intent, as Caddy is told of it. */
const sideOf = ({ canary }: Intent): Front['canary'] =>
  canary && {
    version: canary.version,
    commit: canary.commit,
    weight: canary.weight,
    port: canary.port,
    ports: canary.instances.map(({ port }) => port),
  };

/** Caddy's word; where it was restarted and has none, what was running last. */
const runningOf = ({ running }: State, front: Front | undefined) =>
  running === undefined
    ? front && { version: front.version, instances: front.ports.length }
    : { version: front?.version ?? running.version, instances: running.instances.length };
