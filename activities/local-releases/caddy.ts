import { sleep } from '@temporalio/activity';
import { z } from 'zod';
import { failure } from '../../src/errors.ts';
import { parsed, request, whole } from '../../src/http.ts';

const DRAIN_MS = 10_000;
const DRAIN_POLL_MS = 100;
const TRIES = 3;
const RETRY_MS = 100;

const Handler = z.looseObject({ handler: z.string() });
const Server = z.object({ routes: z.array(z.object({ handle: z.array(Handler) })).default([]) }).nullable();
const Marks = z.object({
  holdfast_switch: z.string(),
  holdfast_version: z.string(),
  holdfast_commit: z.string(),
  holdfast_canary: z
    .object({
      version: z.string(),
      commit: z.string(),
      ports: z.array(z.number()),
      weight: z.number(),
      port: z.number(),
    })
    .optional(),
});
const Proxy = z.object({ upstreams: z.array(z.object({ dial: z.string() })) });
const Upstreams = z.array(z.object({ address: z.string(), num_requests: z.number() })).nullable();

/** What takes the traffic of a server: the switch that Caddy has taken last, and where it sends requests. */
export interface Front {
  switchId: string;
  version: string;
  commit: string;
  ports: number[];
  /** A release beside it: `weight` percent of the requests go to a server of its own at `port`, which counts them apart. */
  canary?: { version: string; commit: string; ports: number[]; weight: number; port: number } | undefined;
}

export interface FrontDoor {
  /** Undefined when no release was given this server's traffic. */
  read(server: string): Promise<Front | undefined>;
  /**
   * Point a server at instances, and read it back. Requests in flight stay with what served them. Of those that arrive in the very
   * moment a few may get no answer: Caddy starts its servers anew, and one of Go's that ends closes a connection on which a request
   * has just come (`http.Server.Shutdown`). Clients and load balancers ask again. Seen: 83 in 541 switches, at 400 requests a second
   * over kept connections on a busy machine. A canary has the server
   * `<server>-canary`, which is there before it gets requests and goes when it gets none any more.
   * @throws Unavailable (transient) when another change of Caddy's configuration came in between.
   */
  point(of: { server: string; id: string; listen: string; front: Front }): Promise<void>;
  /** Wait until these instances have no request left, ten seconds at most. */
  drain(ports: number[]): Promise<void>;
}

/** Ask again, twice: Caddy opens its admin endpoint anew when its configuration changes, and cuts connections. */
async function answered<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await ask();
    } catch (error) {
      if (tries === TRIES || (error as { type?: string }).type !== 'Unavailable') throw error;
      await sleep(RETRY_MS);
    }
  }
}

const addressOf = (port: number): string => `127.0.0.1:${port}`;

/** Caddy through its admin API. `@id`, `vars` and the upstreams are all that is ours; nothing else is read or changed. */
export function createFrontDoor(adminUrl: string): FrontDoor {
  const headers = { origin: new URL(adminUrl).origin, connection: 'close' }; // Caddy refuses a `fetch` that names no origin
  const load = async (path: string): Promise<{ value: unknown; etag: string }> => {
    const what = `Caddy GET ${path}`;
    return await answered(async () => {
      const response = await whole(await request(new URL(path, adminUrl).href, { what, headers }), what);
      const text = await response.text();
      try {
        return { value: JSON.parse(text), etag: response.headers.get('etag') ?? '' };
      } catch {
        throw failure('UnexpectedResponse', `${what}: the answer is not JSON`);
      }
    });
  };
  const read = async (server: string): Promise<{ front: Front | undefined; etag: string }> => {
    const path = pathOf(server);
    const { value, etag } = await load(path);
    const handlers = parsed(Server, value, `Caddy GET ${path}`)?.routes.flatMap(({ handle }) => handle) ?? [];
    const marks = Marks.safeParse(handlers.find(({ handler }) => handler === 'vars'));
    const proxy = Proxy.safeParse(handlers.find(({ handler }) => handler === 'reverse_proxy'));
    if (!marks.success || !proxy.success) return { front: undefined, etag };
    const { holdfast_switch: switchId, holdfast_version: version, holdfast_commit: commit } = marks.data;
    const canary = marks.data.holdfast_canary;
    const ports = proxy.data.upstreams.map(({ dial }) => Number(dial.split(':').at(-1)));
    return {
      etag,
      front: {
        switchId,
        version,
        commit,
        ports: ports.filter((port) => port !== canary?.port),
        ...(canary && { canary }),
      },
    };
  };
  const pathOf = (server: string): string => `/config/apps/http/servers/${server}`;
  /** Set a server, or replace the whole of it: only where it is as it was read, when that is said. */
  const set = async (server: string, config: object, etag?: string): Promise<void> => {
    await request(new URL(pathOf(server), adminUrl).href, {
      what: `Caddy POST ${pathOf(server)}`,
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', ...(etag !== undefined && { 'if-match': etag }) },
      body: JSON.stringify(config),
    });
  };
  const remove = async (server: string): Promise<void> => {
    const what = `Caddy DELETE ${pathOf(server)}`;
    await request(new URL(pathOf(server), adminUrl).href, { what, method: 'DELETE', headers }).catch((error: Error) => {
      if ((error as { type?: string }).type !== 'NotFound') throw error;
    });
  };
  return {
    read: async (server) => (await read(server)).front,
    async point({ server, id, listen, front }) {
      const { front: before, etag: first } = await read(server);
      const beside = `${server}-canary`;
      const { canary } = front;
      if (canary !== undefined) {
        const served = { ...canary, switchId: front.switchId };
        await set(beside, serverOf(`${id}-canary`, addressOf(canary.port), served));
      }
      const etag = canary === undefined ? first : (await read(server)).etag;
      const posted = await set(server, serverOf(id, listen, front), etag).catch((error: Error) => error);
      const now = await read(server);
      if (now.front?.switchId !== front.switchId) {
        if (posted instanceof Error && !posted.message.includes('HTTP 412')) throw posted;
        throw failure('Unavailable', `Caddy's ${server} was changed by someone else at the same moment`);
      }
      if (canary === undefined && before?.canary !== undefined) await remove(beside);
    },
    async drain(ports) {
      const addresses = new Set(ports.map(addressOf));
      const deadline = Date.now() + DRAIN_MS;
      while (Date.now() < deadline) {
        const { value } = await load('/reverse_proxy/upstreams');
        const upstreams = parsed(Upstreams, value, 'Caddy GET /reverse_proxy/upstreams') ?? [];
        if (!upstreams.some(({ address, num_requests }) => addresses.has(address) && num_requests > 0)) return;
        await sleep(DRAIN_POLL_MS);
      }
    },
  };
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** How requests are shared out: evenly, or by the smallest whole numbers that give the canary its percent. */
function selectionOf({ ports, canary }: Front): object {
  if (canary === undefined) return { policy: 'round_robin' };
  const [each, beside] = [100 - canary.weight, canary.weight * ports.length].map(Math.round) as [number, number];
  const by = gcd(each, beside);
  return { policy: 'weighted_round_robin', weights: [...ports.map(() => each / by), beside / by] };
}

const serverOf = (id: string, listen: string, front: Front): object => ({
  '@id': id,
  listen: [listen],
  automatic_https: { disable: true },
  routes: [
    {
      handle: [
        {
          handler: 'vars',
          holdfast_switch: front.switchId,
          holdfast_version: front.version,
          holdfast_commit: front.commit,
          ...(front.canary && { holdfast_canary: front.canary }),
        },
        {
          handler: 'reverse_proxy',
          upstreams: [...front.ports, ...(front.canary ? [front.canary.port] : [])].map((port) => ({
            dial: addressOf(port),
          })),
          load_balancing: { selection_policy: selectionOf(front), try_duration: '2s', try_interval: '50ms' },
          health_checks: { passive: { fail_duration: '5s' } },
        },
      ],
    },
  ],
});
