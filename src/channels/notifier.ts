import { oneTimeCode } from '../codes.ts';
import type { Settings } from '../contracts/index.ts';
import type { Notifier } from '../contracts/ports.ts';
import { failure } from '../errors.ts';
import type { Channel, ChannelDefinition } from './channel.ts';
import * as definitions from './index.ts';

/** The inbox that every person has, whatever the configuration says. */
const CONSOLE = 'console';

/** Every channel whose variables are set, and what those that are closed lack. */
export function openChannels(env: Readonly<Record<string, string | undefined>>, settings: Settings) {
  const open = new Map<string, Channel & { personal: boolean }>();
  const closed: Record<string, string> = {};
  for (const channel of Object.values(definitions) as ChannelDefinition[]) {
    const { name, personal } = channel;
    const parsed = channel.env.safeParse(env);
    if (parsed.success) open.set(name, { personal, ...channel.create(parsed.data as never, settings) });
    else closed[name] = parsed.error.issues.map(({ path }) => path.join('.')).join(', ');
  }
  return { open, closed };
}

/** The channels as one port. @throws NotConfigured where a channel is not set up or the person has no address on it. */
export function createNotifier(env: Readonly<Record<string, string | undefined>>, settings: Settings): Notifier {
  const { open, closed } = openChannels(env, settings);
  const secret = env['HOLDFAST_CODE_SECRET'];
  const use = <K extends 'page' | 'announce'>(name: string, does: K) => {
    const { [does]: method, personal } = open.get(name) ?? {};
    if (method === undefined)
      throw failure('NotConfigured', `the channel "${name}" is not set up: set ${closed[name] ?? 'another one'}`);
    return { deliver: method, personal };
  };
  return {
    async page({ channel, page }) {
      const { person, workflowId, runId, asks } = page;
      const { channels = [] } = settings.people.find(({ name }) => name === person) ?? {};
      const to = channel === CONSOLE ? person : channels.find(({ via }) => via === channel)?.to;
      if (to === undefined) throw failure('NotConfigured', `${person} has no address on "${channel}"`);
      const { deliver, personal } = use(channel, 'page');
      const code =
        asks !== undefined && secret !== undefined && personal === true
          ? oneTimeCode({ secret, workflowId, runId, digest: asks.digest, person })
          : undefined;
      await deliver({ ...page, to, ...(code !== undefined && { code }) });
    },
    async announce({ channel, announcement }) {
      await use(channel, 'announce').deliver(announcement);
    },
  };
}
