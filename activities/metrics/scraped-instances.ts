/** Routes and memory by scraping `/metrics` of each instance. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Scope, Settings } from '../../src/contracts/index.ts';
import { failure } from '../../src/errors.ts';
import { request, whole } from '../../src/http.ts';
import { openHistory, type History } from './history.ts';
import { PROCESS, performanceOf, type InstanceSource } from './instances.ts';
import { samplesOf } from './series.ts';

const FRESH_MS = 500;
const LONGEST_WAIT_MS = 5000;

export function createScrapedInstances(of: {
  stateDir: string;
  settings: Settings;
  instancesOf: (of: Scope) => Promise<string[]>;
}): InstanceSource {
  const { stateDir, settings, instancesOf } = of;
  let opened: History | undefined;
  const history = (): History => (opened ??= openHistory(stateDir));
  const sampledAt = new Map<string, number>();

  async function scrape(scope: Scope, instance: string): Promise<void> {
    const { histogram, routeLabel, methodLabel } = performanceOf(settings, scope).routes;
    const what = `metrics of ${instance}`;
    const text = await (await whole(await request(`http://${instance}/metrics`, { what }), what)).text();
    const series = [
      ...samplesOf(text, [`${histogram}_bucket`, ...Object.values(PROCESS).map(({ name }) => name)], what).values(),
    ];
    const valueOf = ({ name, labels = {} }: (typeof PROCESS)[keyof typeof PROCESS]): number =>
      series.find(
        (one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value),
      )?.value ?? 0;
    const byRoute = new Map<string, { route: string; le: string; value: number }>();
    for (const { name, labels, value } of series) {
      if (name !== `${histogram}_bucket`) continue;
      const route = [labels[methodLabel], labels[routeLabel]].filter(Boolean).join(' ');
      const le = labels['le'] ?? '';
      const sum = byRoute.get(`${route} ${le}`)?.value ?? 0;
      byRoute.set(`${route} ${le}`, { route, le, value: sum + value });
    }
    const memory = {
      residentBytes: valueOf(PROCESS.resident),
      heapBytes: valueOf(PROCESS.heap),
      collections: valueOf(PROCESS.collections),
      startedAt: valueOf(PROCESS.started) * 1000,
    };
    history().add(scope, { instance, at: Date.now(), counts: [...byRoute.values()], memory });
  }

  /** Sample every instance that answers; names them. @throws Unavailable (transient) when none does. */
  async function sample(scope: Scope): Promise<string[]> {
    const instances = await instancesOf(scope);
    const key = `${scope.service} ${scope.environment}`;
    if (Date.now() - (sampledAt.get(key) ?? 0) < FRESH_MS) return instances;
    sampledAt.set(key, Date.now());
    const scraped = await Promise.allSettled(instances.map((instance) => scrape(scope, instance)));
    const answered = instances.filter((_, index) => scraped[index]?.status === 'fulfilled');
    const failed = scraped.find((one) => one.status === 'rejected');
    if (answered.length === 0)
      throw failed?.reason ?? failure('Unavailable', `no instance of ${scope.service} is running`);
    return answered;
  }

  return {
    live: true,
    async routes(scope, { from, to }) {
      await sample(scope);
      const spanMs = to - from;
      const recent = Date.now() - to < FRESH_MS * 4;
      const since = (): number => history().first(scope, from) ?? to;
      if (recent && to - since() < spanMs / 3) {
        await sleep(Math.min(spanMs, LONGEST_WAIT_MS));
        await sample(scope);
        const now = Date.now();
        return {
          seconds: (now - since()) / 1000,
          routes: history().routes(scope, { from: since(), to: now + FRESH_MS * 4 }),
        };
      }
      const end = recent ? to + FRESH_MS * 4 : to; // what was counted just now is in a slot that ends a moment later
      const known = recent ? (to - since()) / 1000 : spanMs / 1000;
      return { seconds: Math.min(known, spanMs / 1000), routes: history().routes(scope, { from, to: end }) };
    },
    async memory(scope) {
      const answered = new Set(await sample(scope));
      return new Map([...history().memory(scope)].filter(([instance]) => answered.has(instance)));
    },
  };
}
