/** When deployments may act: allow windows and freezes of the configuration, evaluated at the moment that is asked about. */
import { z } from 'zod';
import type { Scope, Settings, Windows, WindowState } from '../src/contracts/index.ts';
import type { DeploymentWindows } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { checkTimeZone, localTime } from '../src/local-time.ts';
import { intervalsOf, type Interval, type Intervals } from './deployment-windows/spans.ts';

const DAY_MS = 86_400_000;
const LOOK_AHEAD_DAYS = 400;

export const env = z.object({});

interface Plan {
  timeZone: string;
  allow: Intervals[];
  freezes: { reason: string; intervals: Intervals }[];
}

/** @throws Error that names service, environment and path of a time zone or rule that is wrong: it stops the worker at its start. */
export function createActivities(_: z.output<typeof env>, settings: Settings) {
  const plans = new Map(
    settings.services.flatMap(({ name, environments }) =>
      Object.entries(environments).map(([environment, { deployment }]) => [
        `${name}/${environment}`,
        planOf(deployment.windows, `${name}/${environment}: deployment.windows`),
      ]),
    ),
  );
  return {
    /**
     * Whether a change may be made at `at`, and until when that stays so: within 400 days, else without `until`. A window holds its
     * first moment and not its last; where windows or freezes touch or overlap, they are one. The clock is not read.
     * @throws NotConfigured (permanent) when the environment is not in the configuration; Refused when `at` is no moment.
     */
    async deploymentWindow({ service, environment, at }: Scope & { at: string }): Promise<WindowState> {
      const plan = plans.get(`${service}/${environment}`);
      if (plan === undefined) throw failure('NotConfigured', `${service}/${environment} is not in the configuration`);
      const now = Date.parse(at);
      if (Number.isNaN(now)) throw failure('Refused', `"${at.slice(0, 50)}" is no moment`);
      return stateAt(plan, now);
    },
  } satisfies DeploymentWindows;
}

function planOf({ timeZone, allow, freezes }: Windows, path: string): Plan {
  const checked = <T>(where: string, work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw new Error(`${path}.${where}${error instanceof Error ? error.message : ''}`, { cause: error });
    }
  };
  checked('', () => checkTimeZone(timeZone));
  return {
    timeZone,
    allow: allow.map((span, i) => checked(`allow[${i}].`, () => intervalsOf(span, timeZone))),
    freezes: freezes.map(({ reason, when }, i) => ({
      reason,
      intervals: checked(`freezes[${i}].when.`, () => intervalsOf(when, timeZone)),
    })),
  };
}

function stateAt(plan: Plan, now: number): WindowState {
  const here = during(plan, now, now);
  const open = isOpen(here, now);
  const until = changeAfter(plan, now, open);
  const when = until === undefined ? undefined : `until ${localTime(until, plan.timeZone)}`;
  const frozen = here.freezes.filter((freeze) => holds(freeze, now)).map(({ reason }) => reason);
  return {
    open,
    reason: open
      ? `${plan.allow.length === 0 ? 'no freeze' : 'in a deployment window'}${when === undefined ? '' : ` ${when}`}`
      : `${frozen.length === 0 ? 'outside the deployment windows' : `frozen (${frozen.join('; ').slice(0, 300)})`}, ${
          when ?? `no window is to come within ${LOOK_AHEAD_DAYS} days`
        }`,
    ...(until === undefined ? {} : { until: new Date(until).toISOString() }),
  };
}

/** The first moment at which deployments become allowed, or cease to be. */
function changeAfter(plan: Plan, now: number, open: boolean): number | undefined {
  for (const days of [2, 30, LOOK_AHEAD_DAYS]) {
    const last = now + days * DAY_MS; // mostly the change is near
    const spans = during(plan, now, last);
    const change = [...(spans.allow ?? []), ...spans.freezes]
      .flatMap(({ start, end }) => [start, end])
      .filter((edge) => edge > now && edge <= last)
      .toSorted((a, b) => a - b)
      .find((edge) => isOpen(spans, edge) !== open);
    if (change !== undefined) return change;
  }
  return undefined;
}

/** `allow` is undefined where deployments may always act. */
interface Spans {
  allow: Interval[] | undefined;
  freezes: (Interval & { reason: string })[];
}

const during = ({ allow, freezes }: Plan, from: number, until: number): Spans => ({
  allow: allow.length === 0 ? undefined : allow.flatMap((intervals) => intervals(from, until)),
  freezes: freezes.flatMap(({ reason, intervals }) => intervals(from, until).map((each) => ({ ...each, reason }))),
});

const holds = ({ start, end }: Interval, at: number): boolean => start <= at && at < end;

const isOpen = ({ allow, freezes }: Spans, at: number): boolean =>
  (allow === undefined || allow.some((each) => holds(each, at))) && !freezes.some((each) => holds(each, at));
