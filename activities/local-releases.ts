/** Releases as local processes behind Caddy: a release is a git ref, checked out, installed, started, proved healthy, then given the traffic. */
import { join } from 'node:path';
import { cancellationSignal } from '@temporalio/activity';
import { z } from 'zod';
import { approvedAction } from '../src/approved.ts';
import { RestartInstances, RollBack, Scale } from '../src/contracts/index.ts';
import type {
  Approval,
  Effect,
  Release,
  ReleaseOrder,
  Releases,
  Scope,
  Settings,
  TrafficOrder,
} from '../src/contracts/index.ts';
import type { Canary, Deployments, Instances } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { commitOf, knownCommit, mirrorOf } from '../src/git.ts';
import { findProcess } from '../src/processes.ts';
import { createChange, type Place, type Target } from './local-releases/change.ts';
import { createFrontDoor, type Front } from './local-releases/caddy.ts';
import { readState, type State } from './local-releases/state.ts';

/** The rest of the environment is read for its names, to withhold from releases what is the control plane's. */
export const env = z.looseObject({ HOLDFAST_STATE_DIR: z.string(), CADDY_ADMIN_URL: z.url() });

export function createActivities(variables: z.output<typeof env>, settings: Settings) {
  const { HOLDFAST_STATE_DIR: stateDir, CADDY_ADMIN_URL } = variables;
  const door = createFrontDoor(CADDY_ADMIN_URL);
  const change = createChange({ stateDir, door, inherited: variables });

  const placeOf = ({ service, environment }: Scope): Place => {
    const of = settings.services.find(({ name }) => name === service)?.environments[environment];
    if (of?.releases === undefined)
      throw failure('NotConfigured', `${service}/${environment} has no releases configured`);
    const directory = join(stateDir, 'releases', service, environment);
    return { service, environment, directory, healthPath: of.healthPath, releases: of.releases };
  };

  /** The release that Caddy names, with how many of the instances it is sent to live. */
  const servingNow = async (state: State, front: Front): Promise<Release> => {
    const known = [...(state.running?.instances ?? []), ...(state.intent?.group.instances ?? [])];
    const names = new Set(known.filter(({ port }) => front.ports.includes(port)).map(({ name }) => name));
    const live = await Promise.all([...names].map((name) => findProcess(stateDir, name)));
    const instances = live.filter((each) => each !== undefined).length;
    const { version, commit } = front;
    const weight = 1 - (front.canary?.weight ?? 0) / 100;
    return { version, commit, deployedAt: deployedAt(state, front), weight, instances };
  };

  const mirrorIn = (place: Place) => mirrorOf(stateDir, place, place.releases.repository, cancellationSignal());
  const commitIn = (place: Place, ref: string): Promise<string> => commitOf(mirrorIn(place), ref);
  /** The commit that was approved needs no repository that answers; a ref does. */
  const pinnedIn = (place: Place, { ref, commit }: { ref: string; commit?: string | undefined }): Promise<string> =>
    commit === undefined ? commitIn(place, ref) : knownCommit(mirrorIn(place), commit);

  const rollBackTo = async (place: Place, state: State, version: string): Promise<string> =>
    state.history.find((entry) => entry.version === version)?.commit ?? (await commitIn(place, version));

  return {
    /** What Caddy gives the traffic to, with its live instances, and the switches before it. */
    async recentReleases(scope: Scope): Promise<Releases> {
      const place = placeOf(scope);
      const [state, front] = await Promise.all([readState(place.directory), door.read(place.releases.server)]);
      const running = front === undefined ? undefined : await servingNow(state, front);
      const recent = state.history.map(({ version, commit, at: deployedAt }) => ({
        version,
        commit,
        deployedAt,
        weight: 0,
        instances: 0,
      }));
      const previous = recent.find(({ version }) => version !== (running?.version ?? state.running?.version));
      const served = recent.filter(({ deployedAt: at }) => at !== running?.deployedAt);
      return {
        ...(running === undefined ? {} : { running }),
        ...(previous === undefined ? {} : { previous }),
        ...(front?.canary && { canary: { version: front.canary.version, weight: front.canary.weight / 100 } }),
        recent: running === undefined ? recent : [running, ...served].slice(0, 20),
        maxInstances: place.releases.maxInstances,
      };
    },
    /**
     * Run a git ref and give it the traffic. Idempotent on `order.key`. Heartbeats every second.
     * @throws ReleaseFailed (permanent) when it cannot be installed or is not healthy: it took no traffic; Fenced; NotFound.
     */
    async release(order: ReleaseOrder): Promise<Effect> {
      return await change(placeOf(order), order, async (place, _, running) => ({
        version: order.ref,
        commit: await pinnedIn(place, order),
        count: capacity(place, running),
        summary: `${order.service} runs ${order.ref} in ${order.environment}`,
      }));
    },
    /**
     * Give a release beside the running one a share of the traffic, or take it away. Idempotent on `order.key`. Heartbeats every
     * second. @throws ReleaseFailed (permanent) when it is not healthy: it took no traffic; Refused where nothing else runs; Fenced.
     */
    async shiftTraffic(order: TrafficOrder): Promise<Effect> {
      const { service, ref, weight } = order;
      return await change(placeOf(order), order, async (place, { running }) => {
        if (running === undefined) throw failure('Refused', `${service} runs nothing yet that ${ref} could be beside`);
        const { version, commit, instances } = running;
        const stays = { version, commit, count: instances.length };
        if (weight === 0) return { ...stays, summary: `${version} of ${service} has all of the traffic again` };
        if (ref === version) throw failure('Refused', `${ref} of ${service} runs already`);
        const beside = await pinnedIn(place, order);
        const count = Math.max(1, Math.ceil((instances.length * weight) / 100));
        const summary = `${ref} of ${service} has ${weight} % of the traffic`;
        return { ...stays, summary, canary: { version: ref, commit: beside, count, weight } };
      });
    },
    /**
     * Return the traffic to the approved release, with as many instances as run now. Idempotent on `approval.id`.
     * @throws StaleApproval (permanent) when `from` no longer runs; ReleaseFailed, Fenced.
     */
    async rollBack(approval: Approval<RollBack>): Promise<Effect> {
      const action = approvedAction(RollBack, approval);
      return await change(
        placeOf(action),
        { key: approval.id, fence: approval.fence },
        async (place, state, running) => {
          if (running?.version !== action.from)
            throw failure('StaleApproval', `${running?.version ?? 'nothing'} runs, not ${action.from}`);
          return {
            version: action.to,
            commit: await rollBackTo(place, state, action.to),
            count: capacity(place, running),
            summary: `${action.service} rolled back from ${action.from} to ${action.to}`,
          };
        },
      );
    },
    /** Return to what the rollback left. Nothing happens when it was not done. @throws StaleApproval when something else runs now. */
    async undoRollBack(approval: Approval<RollBack>): Promise<Effect> {
      const action = approvedAction(RollBack, approval);
      const order = { key: `${approval.id}:undo`, fence: approval.fence };
      return await change(placeOf(action), order, async (place, state, running) => {
        if (!state.done.some(({ key }) => key === approval.id)) return 'the rollback was not done: nothing to undo';
        if (running?.version !== action.to)
          throw failure('StaleApproval', `${running?.version ?? 'nothing'} runs, not ${action.to}`);
        return {
          version: action.from,
          commit: await rollBackTo(place, state, action.from),
          count: capacity(place, running),
          summary: `${action.service} returned from ${action.to} to ${action.from}`,
        };
      });
    },
    /**
     * Run another number of instances of the running release. Idempotent on `approval.id`.
     * @throws StaleApproval (permanent) when another number runs; Refused above `maxInstances`.
     */
    async scale(approval: Approval<Scale>): Promise<Effect> {
      const action = approvedAction(Scale, approval);
      return await change(placeOf(action), { key: approval.id, fence: approval.fence }, async (place, state) =>
        scaled(place, state, action.from, action.to),
      );
    },
    /** Return to the number of instances before. Nothing happens when it was not scaled. */
    async undoScale(approval: Approval<Scale>): Promise<Effect> {
      const action = approvedAction(Scale, approval);
      const order = { key: `${approval.id}:undo`, fence: approval.fence };
      return await change(placeOf(action), order, async (place, state) =>
        state.done.some(({ key }) => key === approval.id)
          ? scaled(place, state, action.to, action.from)
          : 'it was not scaled: nothing to undo',
      );
    },
    /**
     * Replace instances, one after another: each by a new one that is healthy and has its traffic before it ends. Idempotent on
     * `approval.id`. One that runs no longer is left out. @throws StaleApproval (permanent) when another release runs; ReleaseFailed.
     */
    async restartInstances(approval: Approval<RestartInstances>): Promise<Effect> {
      const action = approvedAction(RestartInstances, approval);
      const restarted: string[] = [];
      for (const address of action.instances) {
        const order = { key: `${approval.id}:${address}`, fence: approval.fence };
        const { changed } = await change(placeOf(action), order, async (_, { running }) =>
          replaced(action, running, address),
        );
        if (changed) restarted.push(address);
      }
      return {
        changed: restarted.length > 0,
        summary: `${restarted.length} of ${action.instances.length} instances were replaced`,
      };
    },
  } satisfies Deployments & Canary & Instances;
}

const capacity = ({ releases }: Place, running: Pick<Release, 'instances'> | undefined): number =>
  Math.min(releases.maxInstances, Math.max(releases.instances, running?.instances ?? 0));

function deployedAt({ running, intent, history }: State, { switchId, commit }: Front): string {
  const known = running?.switchId === switchId ? running : intent?.switchId === switchId ? intent : undefined;
  return (known ?? history.find((entry) => entry.commit === commit))?.at ?? new Date(0).toISOString();
}

function replaced({ version }: RestartInstances, running: State['running'], address: string): Target | string {
  if (running?.version !== version)
    throw failure('StaleApproval', `${running?.version ?? 'nothing'} runs, not ${version}`);
  const { commit, instances } = running;
  const leaving = instances.find(({ port }) => address === `127.0.0.1:${port}`);
  if (leaving === undefined) return `${address} runs no longer`;
  return { version, commit, count: instances.length, without: leaving.name, summary: `${address} was replaced` };
}

function scaled({ service, releases }: Place, { running }: State, from: number, to: number): Target {
  if (to > releases.maxInstances)
    throw failure('Refused', `${service} may run ${releases.maxInstances} instances, not ${to}`);
  if (running?.instances.length !== from)
    throw failure('StaleApproval', `${running?.instances.length ?? 0} instances of ${service} run, not ${from}`);
  const { version, commit } = running;
  return { version, commit, count: to, summary: `${service} runs ${to} instances of ${version} instead of ${from}` };
}
