import { setTimeout as sleep } from 'node:timers/promises';
import { openChannels } from '../../channels/notifier.ts';
import type { Settings } from '../../contracts/index.ts';
import { checked, failed, ok, warning, type Finding } from './finding.ts';

const WITHIN_MS = 12_000;

/** Each channel that can be asked without sending anything, and who is to be reached over one that is not set up. */
export async function checkChannels(
  env: Readonly<Record<string, string | undefined>>,
  settings: Settings,
): Promise<Finding[]> {
  return await checked('channels', 'correct its variables, or unset them', async () => {
    const { open, closed } = openChannels(env, settings);
    const asked = [...open].flatMap(([name, { check }]) => (check === undefined ? [] : [{ name, ...check }]));
    const found = await Promise.all(
      asked.map(({ name, remedy, look }) =>
        checked(name, remedy, async () => {
          const { says, beware } = await within(look());
          return [ok(name, says), ...(beware === undefined ? [] : [warning(name, beware.says, beware.remedy)])];
        }),
      ),
    );
    return [...found.flat(), ...Object.entries(closed).flatMap(([name, lacks]) => needed(name, lacks, settings))];
  });
}

/** A channel that is closed is nobody's concern unless somebody is to be reached over it. */
function needed(channel: string, lacks: string, { people, announce }: Settings): Finding[] {
  const who = people.filter(({ channels }) => channels.some(({ via }) => via === channel)).map(({ name }) => name);
  const named = [...who, ...(announce.includes(channel) ? ['announcements'] : [])];
  if (named.length === 0) return [];
  return [failed(channel, `is to reach ${named.join(', ')}, and is not set up`, `set ${lacks}`)];
}

/** @throws Error when it takes longer than any of its own bounds should let it. */
const within = <T>(answer: Promise<T>): Promise<T> =>
  Promise.race([
    answer,
    sleep(WITHIN_MS, undefined, { ref: false }).then(() => {
      throw new Error(`no answer within ${WITHIN_MS / 1000} s`);
    }),
  ]);
