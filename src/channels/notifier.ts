import { z } from 'zod';
import { oneTimeCode } from '../codes.ts';
import type { Settings } from '../contracts/index.ts';
import type { Notifier } from '../contracts/ports.ts';
import { failure } from '../errors.ts';
import type { Channel, ChannelDefinition } from './channel.ts';
import { groupDeliveries } from './grouping.ts';
import * as definitions from './index.ts';
import { linkTo } from './wording.ts';

/** The inbox that every person has, whatever the configuration says. */
const CONSOLE = 'console';

/**
 * Every channel whose variables are set, and what those that are closed lack. @throws Error that names a variable which is set but
 * wrong, or whoever is to be reached over a channel that there is not.
 */
export function openChannels(env: Readonly<Record<string, string | undefined>>, settings: Settings) {
  const open = new Map<string, Channel & Pick<ChannelDefinition, 'personal' | 'singly'>>();
  const closed: Record<string, string> = {};
  for (const channel of Object.values(definitions) as ChannelDefinition[]) {
    const { name, personal, singly } = channel;
    const parsed = channel.env.safeParse(env);
    if (parsed.success) open.set(name, { personal, singly, ...channel.create(parsed.data as never, settings) });
    else if (parsed.error.issues.some(({ path }) => env[String(path[0])] !== undefined))
      throw new Error(`Cannot start, the environment of ${name} is wrong:\n${z.prettifyError(parsed.error)}`);
    else closed[name] = parsed.error.issues.map(({ path }) => path.join('.')).join(', ');
  }
  const named = [
    ...settings.people.flatMap(({ name, channels }) => channels.map(({ via }) => ({ who: `people: ${name}`, via }))),
    ...settings.announce.map((via) => ({ who: 'announce', via })),
  ];
  for (const { who, via } of named)
    if (!open.has(via) && closed[via] === undefined)
      throw new Error(
        `${who}: there is no channel "${via}"; there are: ${[...open.keys(), ...Object.keys(closed)].sort().join(', ')}`,
      );
  return { open, closed };
}

/** The channels as one port. @throws NotConfigured where a channel is not set up or the person has no address on it. */
export function createNotifier(env: Readonly<Record<string, string | undefined>>, settings: Settings): Notifier {
  const { open, closed } = openChannels(env, settings);
  const { HOLDFAST_CODE_SECRET: secret, HOLDFAST_PUBLIC_URL: publicUrl } = env;
  const grouped = groupDeliveries(env['HOLDFAST_STATE_DIR'] ?? '.holdfast');
  const use = <K extends 'page' | 'announce'>(name: string, does: K) => {
    const { [does]: method, personal, singly } = open.get(name) ?? {};
    if (method === undefined)
      throw failure('NotConfigured', `the channel "${name}" is not set up: set ${closed[name] ?? 'another one'}`);
    return { deliver: method, personal, singly };
  };
  return {
    async page({ channel, page }) {
      const { person, workflowId, runId, asks } = page;
      const { channels = [] } = settings.people.find(({ name }) => name === person) ?? {};
      const to = channel === CONSOLE ? person : channels.find(({ via }) => via === channel)?.to;
      if (to === undefined) throw failure('NotConfigured', `${person} has no address on "${channel}"`);
      const { deliver, personal, singly } = use(channel, 'page');
      const code =
        asks !== undefined && secret !== undefined && personal === true
          ? oneTimeCode({ secret, workflowId, runId, digest: asks.digest, person })
          : undefined;
      const delivery = { ...page, to, ...linkTo(publicUrl, page), ...(code !== undefined && { code }) };
      await (singly === true ? deliver(delivery) : grouped(channel, delivery, deliver));
    },
    async announce({ channel, announcement }) {
      await use(channel, 'announce').deliver({ ...announcement, ...linkTo(publicUrl, announcement) });
    },
  };
}
