/** What Alertmanager and Sentry have open, and what is over there, told to the gateway in their name where a webhook of theirs may be lost. */
import { z } from 'zod';
import type { OpenAtSources, Settings } from '../src/contracts/index.ts';
import type { OpenAlerts } from '../src/contracts/ports.ts';
import { request } from '../src/http.ts';
import { openAtAlertmanager } from './open-alerts/alertmanager.ts';
import { openAtSentry } from './open-alerts/sentry.ts';
import type { Listed, OpenAt, Webhook } from './open-alerts/source.ts';

type Known = Record<keyof OpenAtSources, string[]>;

/** Names of each kind that are kept, over all sources. */
const MOST = 200;
/** So many that are listed no more are asked about in one reading of a source. */
const ASKED = 10;

const Secret = z.string().min(1).optional();
export const env = z.object({
  HOLDFAST_GATEWAY_HOST: z.string().min(1).default('127.0.0.1'),
  HOLDFAST_GATEWAY_PORT: z.coerce.number().int().min(1).max(65535).default(4100),
  ALERTMANAGER_URL: z.url().optional(),
  /** Bearer token, where Alertmanager wants one. */
  ALERTMANAGER_TOKEN: Secret,
  /** The receiver whose webhook is the gateway. */
  ALERTMANAGER_RECEIVER: z
    .string()
    .regex(/^[\w-]+$/)
    .default('holdfast'),
  HOLDFAST_ALERTMANAGER_TOKEN: Secret,
  SENTRY_URL: z.url().default('https://sentry.io'),
  SENTRY_AUTH_TOKEN: Secret,
  SENTRY_ORG: z
    .string()
    .regex(/^[\w-]+$/)
    .optional(),
  HOLDFAST_SENTRY_CLIENT_SECRET: Secret,
});

/** Only of systems whose address and both secrets are there, theirs and the gateway's; without any there is no activity. */
export function createActivities(of: z.output<typeof env>, settings: Settings): Partial<OpenAlerts> {
  const gateway = `http://${of.HOLDFAST_GATEWAY_HOST}:${of.HOLDFAST_GATEWAY_PORT}`;
  const sources: OpenAt[] = [];
  if (of.ALERTMANAGER_URL !== undefined && of.HOLDFAST_ALERTMANAGER_TOKEN !== undefined)
    sources.push(
      openAtAlertmanager({
        url: of.ALERTMANAGER_URL,
        token: of.ALERTMANAGER_TOKEN,
        receiver: of.ALERTMANAGER_RECEIVER,
        gatewayToken: of.HOLDFAST_ALERTMANAGER_TOKEN,
      }),
    );
  const { SENTRY_AUTH_TOKEN: token, SENTRY_ORG: organization, HOLDFAST_SENTRY_CLIENT_SECRET: clientSecret } = of;
  if (token !== undefined && organization !== undefined && clientSecret !== undefined)
    sources.push(openAtSentry({ url: of.SENTRY_URL, token, organization, clientSecret, settings }));
  if (sources.length === 0) return {};

  const tell = async (source: string, { body, headers }: Webhook): Promise<boolean> => {
    const all = { 'content-type': 'application/json', ...headers };
    const what = `gateway POST /alerts/${source}`;
    return await request(`${gateway}/alerts/${source}`, { method: 'POST', headers: all, body, what }).then(
      async (response) => {
        await response.body?.cancel();
        return true;
      },
      () => false,
    );
  };

  /** The names of one source, without it. Only a whole list says that something is gone, and only a second that it may be over. */
  const takeIn = async (of: OpenAt, { open: listed, whole }: Listed, before: Known): Promise<Known> => {
    const { source } = of;
    const webhooks = new Map(listed.map(({ name, webhook }) => [name, webhook]));
    const known = [...new Set([...before.gone, ...before.open])];
    const told = before.told.filter((name) => known.includes(name));
    for (const name of before.open) {
      const webhook = webhooks.get(name);
      if (webhook !== undefined && !told.includes(name) && (await tell(source, webhook))) told.push(name);
    }
    const missing = known.filter((name) => !webhooks.has(name) && (whole || before.gone.includes(name)));
    const asked = whole ? missing.filter((name) => before.gone.includes(name)).slice(0, ASKED) : [];
    const stay = await Promise.all(
      asked.map(async (name) => {
        const webhook = await of.over(name).catch(() => undefined);
        return webhook !== undefined && (await tell(source, webhook)) ? [] : [name];
      }),
    );
    const most = MOST / sources.length;
    const gone = [...missing.filter((name) => !asked.includes(name)), ...stay.flat()].slice(-most / 2);
    const fresh = [...webhooks.keys()].filter((name) => webhooks.get(name) !== undefined && !known.includes(name));
    const open = [...known.filter((name) => !missing.includes(name)), ...fresh];
    const kept = open.slice(0, most - gone.length);
    return { open: kept, gone, told: told.filter((name) => kept.includes(name) || gone.includes(name)) };
  };
  return {
    /**
     * Idempotent: the gateway knows an alert by the key that it makes of its body. Of a source that does not answer, and of
     * what the gateway does not take, all stays as it was. @throws what it failed with when none answers.
     */
    async tellOpenAlerts(before: OpenAtSources): Promise<OpenAtSources> {
      const lists = await Promise.allSettled(sources.map((source) => source.open()));
      const failed = lists.find((each) => each.status === 'rejected');
      if (failed !== undefined && lists.every(({ status }) => status === 'rejected')) throw failed.reason;
      const now: Known = { open: [], told: [], gone: [] };
      for (const [i, of] of sources.entries()) {
        const prefix = `${of.source}:`;
        const its = (names: string[] = []): string[] =>
          names.flatMap((name) => (name.startsWith(prefix) ? [name.slice(prefix.length)] : []));
        const known = { open: its(before.open), told: its(before.told), gone: its(before.gone) };
        const list = lists[i];
        const { open, told, gone } = list?.status === 'fulfilled' ? await takeIn(of, list.value, known) : known;
        const named = (names: string[]): string[] => names.map((name) => prefix + name);
        now.open.push(...named(open));
        now.told.push(...named(told));
        now.gone.push(...named(gone));
      }
      return now;
    },
  } satisfies OpenAlerts;
}
