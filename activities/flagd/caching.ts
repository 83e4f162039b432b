/** Whether caches may keep what a service answers. Source: RFC 9111, "HTTP Caching". */
import { sleep } from '@temporalio/activity';
import { beating } from '../../src/beating.ts';
import type { Scope, Settings, TurnOnCaching } from '../../src/contracts/index.ts';
import { failure } from '../../src/errors.ts';
import { request } from '../../src/http.ts';

/** flagd's file provider reads within five seconds; every instance must have. */
const HONOURED_MS = 20_000;
const IN_A_ROW = 5;

/** @throws NotConfigured (permanent). */
export function cachingOf(settings: Settings, { service, environment }: Scope) {
  const of = settings.services.find(({ name }) => name === service)?.environments[environment];
  if (of === undefined || of.performance.caching.length === 0)
    throw failure('NotConfigured', `${service}/${environment} has no performance.caching configured`);
  return { url: of.url, routes: of.performance.caching };
}

export async function isCaching(url: string, path: string): Promise<{ caching: boolean; header: string; age: string }> {
  const response = await request(new URL(path, url).href, { what: `GET ${path}` });
  await response.body?.cancel();
  const header = response.headers.get('cache-control') ?? 'no Cache-Control';
  const caching = /\b(s-maxage|max-age)=0*[1-9]/.test(header) && !/\b(no-store|no-cache|private)\b/.test(header);
  return { caching, header: header.slice(0, 200), age: response.headers.get('age') ?? '' };
}

/** Wait until answers in a row may be kept, and one came from a cache. Heartbeats every second. @throws Refused (permanent). */
export const untilCaching = (url: string, of: TurnOnCaching): Promise<string> => beating(() => honoured(url, of));

async function honoured(url: string, { path, route }: TurnOnCaching): Promise<string> {
  const deadline = Date.now() + HONOURED_MS;
  let [good, ages, last] = [0, [] as string[], ''];
  while (Date.now() < deadline) {
    const { caching, header, age } = await isCaching(url, path);
    last = header;
    good = caching ? good + 1 : 0;
    if (age !== '') ages.push(age);
    if (good >= IN_A_ROW && ages.length > 0) return `${route} answers "${header}", from a cache (Age ${ages.at(-1)})`;
    await sleep(good > 0 ? 200 : 1000);
  }
  if (good >= IN_A_ROW) return `${route} answers "${last}"; no cache has answered yet`;
  throw failure('Refused', `${route} still answers "${last}": the service does not honour the flag`);
}
