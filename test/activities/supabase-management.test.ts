/**
 * The Management API of Supabase as its public reference describes it, on a real HTTP server with a memory: no account is at
 * hand here, so what Supabase itself would answer was not seen.
 */
import { createActivities } from '../../activities/supabase-management.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { approvalOf, asActivity, scope, settings as base } from './database-rig.ts';
import { killedWhen } from './killed.ts';
import { failsAsDeclared, refusesNonsense, serving, type Answer, type Asked } from './http-server.ts';

const project = 'abcdefghijklmnopqrst';
const settings = structuredClone(base);
Object.assign(settings.services[0]?.environments['production']?.database ?? {}, { project });
const stateDir = scratchFolder();
afterAll(() => removeScratch(stateDir));

const variablesAt = (url: string) => ({
  SUPABASE_ACCESS_TOKEN: 'sbp_x',
  SUPABASE_MANAGEMENT_URL: url,
  HOLDFAST_STATE_DIR: stateDir,
});
const providerAt = (url: string) => createActivities(variablesAt(url), settings);
const variant = (id: string, amount: number) => ({
  id,
  name: id,
  price: { amount, interval: 'hourly', type: 'usage', description: '' },
});
const SIZES = [variant('ci_micro', 0.0134), variant('ci_small', 0.0206), variant('ci_medium', 0.0822)];

/** A project whose compute follows what is asked for; `answer` may say otherwise first. */
async function projectServer(answer: (asked: Asked) => Answer | undefined = () => undefined) {
  const state = { compute: undefined as string | undefined, resizes: [] as string[] };
  const server = await serving((asked) => {
    const { method, url, headers, body } = asked;
    if (headers.authorization !== 'Bearer sbp_x') return { status: 401 };
    const other = answer(asked);
    if (other !== undefined) return other;
    const path = url.pathname.replace(`/v1/projects/${project}`, '');
    if (path === '/billing/addons' && method === 'PATCH') {
      const { addon_type: type, addon_variant: to } = JSON.parse(body) as Record<string, string>;
      if (type !== 'compute_instance' || !SIZES.some(({ id }) => id === to)) return { status: 400 };
      state.resizes.push(to ?? '');
      state.compute = to === 'ci_micro' ? undefined : to;
      return { body: {} };
    }
    if (path === '/billing/addons') {
      const selected = SIZES.filter(({ id }) => id === state.compute);
      return {
        body: {
          selected_addons: selected.map((one) => ({ type: 'compute_instance', variant: one })),
          available_addons: [
            { type: 'compute_instance', name: 'Compute', variants: SIZES },
            { type: 'pitr', name: 'PITR', variants: [variant('pitr_7', 0.137)] },
          ],
        },
      };
    }
    if (path === '/health')
      return {
        body: (url.searchParams.get('services') ?? '')
          .split(',')
          .map((name) => ({ name, healthy: true, status: 'ACTIVE_HEALTHY' })),
      };
    if (path === '/config/database/pooler')
      return {
        body: [
          {
            database_type: 'READ_REPLICA',
            default_pool_size: 1,
            max_client_conn: 1,
            connection_string: 'postgres://x',
          },
          { database_type: 'PRIMARY', default_pool_size: 15, max_client_conn: 200, connection_string: 'postgres://x' },
        ],
      };
    if (path === '/config/disk/util')
      return {
        body: {
          timestamp: '2026-11-24T08:00:00Z',
          metrics: { fs_size_bytes: 8e9, fs_used_bytes: 2e9, fs_avail_bytes: 6e9 },
        },
      };
    if (path === '/advisors/performance')
      return {
        body: {
          lints: [
            { level: 'INFO', title: 'Unused Index', detail: 'on a', name: 'unused_index', categories: ['PERFORMANCE'] },
            { level: 'WARN', title: 'Auth RLS Initialization Plan', detail: 'on b', name: 'auth_rls_initplan' },
            { level: 'ERROR', title: 'No Primary Key', detail: 'on c', name: 'no_primary_key' },
          ],
        },
      };
    return { status: 404 };
  });
  return { ...server, state };
}
const bigger = (id: { from: string; to: string }, fence = 1) =>
  approvalOf({ kind: 'resize-compute', ...scope, project, ...id } as const, fence);

it('reads what Supabase says of the project: its services, its advice, its compute with the next larger, pooler and disk', async () => {
  await using server = await projectServer();
  const provider = providerAt(server.url);
  expect(await provider.hostedServices(scope)).toContainEqual({ name: 'db', healthy: true, status: 'ACTIVE_HEALTHY' });
  expect(await provider.hostedAdvice(scope)).toEqual([
    { level: 'ERROR', title: 'No Primary Key: on c' },
    { level: 'WARN', title: 'Auth RLS Initialization Plan: on b' },
  ]);
  expect(await provider.hostedCapacity(scope)).toEqual({
    project,
    compute: 'ci_micro',
    larger: { compute: 'ci_small', price: '$0.0206 hourly' },
    poolSize: 15,
    maxClients: 200,
    disk: { usedBytes: 2e9, sizeBytes: 8e9 },
  });
});

it('says which service is ill and why', async () => {
  const ill = [{ name: 'db', healthy: false, status: 'UNHEALTHY', error: 'no disk' }];
  await using server = await projectServer(({ url }) => (url.pathname.endsWith('/health') ? { body: ill } : undefined));
  expect(await providerAt(server.url).hostedServices(scope)).toEqual([
    { name: 'db', healthy: false, status: 'UNHEALTHY: no disk' },
  ]);
});

it('has no larger compute to offer than the largest', async () => {
  await using server = await projectServer();
  server.state.compute = 'ci_medium';
  expect(await providerAt(server.url).hostedCapacity(scope)).not.toHaveProperty('larger');
});

it('changes the compute once per approval, waits until the project is healthy on it, and returns to the one before', async () => {
  let ill = 2;
  await using server = await projectServer(({ url }) => {
    if (!url.pathname.endsWith('/health') || ill === 0) return undefined;
    ill -= 1;
    return ill === 1 ? { status: 503 } : { body: [{ name: 'db', status: 'COMING_UP' }] };
  });
  const provider = providerAt(server.url);
  const approval = bigger({ from: 'ci_micro', to: 'ci_small' });
  expect(await asActivity(() => provider.resizeCompute(approval))).toMatchObject({ changed: true });
  expect(await asActivity(() => provider.resizeCompute(approval))).toMatchObject({ changed: false });
  expect(server.state.resizes).toEqual(['ci_small']);
  expect(await asActivity(() => provider.undoResizeCompute(approval))).toMatchObject({ changed: true });
  expect(await asActivity(() => provider.undoResizeCompute(approval))).toMatchObject({ changed: false });
  expect(server.state.resizes).toEqual(['ci_small', 'ci_micro']);
}, 30_000);

it('changes the compute once, and back once, though its worker is killed while the project comes up on it', async () => {
  let comingUp = true;
  await using server = await projectServer(({ url }) =>
    url.pathname.endsWith('/health') && comingUp ? { body: [{ name: 'db', status: 'COMING_UP' }] } : undefined,
  );
  const variables = variablesAt(server.url);
  const provider = providerAt(server.url);
  const approval = bigger({ from: 'ci_micro', to: 'ci_small' });
  const killedAfter = (activity: string, resizes: number) =>
    killedWhen(
      stateDir,
      { provider: 'supabase-management', activity, variables, settings, argument: approval },
      async () => server.state.resizes.length === resizes,
    );
  await killedAfter('resizeCompute', 1);
  comingUp = false;
  expect(await asActivity(() => provider.resizeCompute(approval))).toMatchObject({ changed: true });
  expect(server.state.resizes).toEqual(['ci_small']);
  comingUp = true;
  await killedAfter('undoResizeCompute', 2);
  comingUp = false;
  await asActivity(() => provider.undoResizeCompute(approval));
  expect(server.state.resizes).toEqual(['ci_small', 'ci_micro']);
  expect(await asActivity(() => provider.resizeCompute(bigger({ from: 'ci_micro', to: 'ci_small' })))).toMatchObject({
    changed: true,
  });
}, 30_000);

it('waits while Supabase still works at an earlier change (429), and asks again', async () => {
  let busy = 1;
  await using server = await projectServer(({ method }) => {
    if (method !== 'PATCH' || busy === 0) return undefined;
    busy -= 1;
    return { status: 429, body: { message: 'We are still processing addon changes' } };
  });
  const approval = bigger({ from: 'ci_micro', to: 'ci_small' });
  expect(await asActivity(() => providerAt(server.url).resizeCompute(approval))).toMatchObject({ changed: true });
  expect(server.state.resizes).toEqual(['ci_small']);
}, 30_000);

it('refuses as stale what the world has overtaken, and passes on that Supabase refuses', async () => {
  await using server = await projectServer();
  const provider = providerAt(server.url);
  await expect(
    asActivity(() => provider.resizeCompute(bigger({ from: 'ci_small', to: 'ci_medium' }))),
  ).rejects.toMatchObject({ type: 'StaleApproval' });
  await expect(
    asActivity(() => provider.resizeCompute(bigger({ from: 'ci_micro', to: 'ci_immense' }))),
  ).rejects.toMatchObject({ type: 'Refused', nonRetryable: true });
  expect(server.state.resizes).toEqual([]);
});

it('does not return to the compute before when a later change has acted since', async () => {
  await using server = await projectServer();
  const provider = providerAt(server.url);
  const approval = bigger({ from: 'ci_micro', to: 'ci_small' }, 1);
  await asActivity(() => provider.resizeCompute(approval));
  await asActivity(() => provider.resizeCompute(bigger({ from: 'ci_small', to: 'ci_medium' }, 2)));
  await asActivity(() => provider.resizeCompute(bigger({ from: 'ci_medium', to: 'ci_small' }, 3)));
  const fenced = { type: 'Fenced', nonRetryable: true };
  await expect(asActivity(() => provider.undoResizeCompute(approval))).rejects.toMatchObject(fenced);
  expect(server.state.compute).toBe('ci_small');
}, 30_000);

describe('as every provider', () => {
  failsAsDeclared((url) => providerAt(url).hostedCapacity(scope));
  refusesNonsense((url) => providerAt(url).hostedServices(scope));
});
