/**
 * A project that Supabase hosts, through its Management API. A token with the rights `project_admin_read`, `advisors_read`,
 * `infra_add_ons_read`, `infra_add_ons_write`, `infra_disk_config_read` and `database_pooling_config_read` does.
 * Source: supabase.com/docs/reference/api.
 */
import { heartbeat, sleep } from '@temporalio/activity';
import { z } from 'zod';
import { approvedAction } from '../src/approved.ts';
import {
  Advice,
  ResizeCompute,
  type Approval,
  type Effect,
  type HostedCapacity,
  type HostedService,
  type Scope,
  type Settings,
} from '../src/contracts/index.ts';
import type { HostedDatabase } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { createHttp } from '../src/http.ts';
import { openJournal } from '../src/journal.ts';

const POLL_MS = 2000;
/** A resize takes one to four minutes, during which the API may refuse (429) and services are away. */
const SETTLED_WITHIN_MS = 12 * 60 * 1000;
const SHOWN = 5;
const SERVICES = ['db', 'rest', 'pooler', 'auth'];
const COMPUTE = 'compute_instance';
/** No add-on is selected then: the smallest compute is the absence of one. */
const SMALLEST = 'ci_micro';

export const env = z.object({
  SUPABASE_ACCESS_TOKEN: z.string().min(1),
  SUPABASE_MANAGEMENT_URL: z.url().default('https://api.supabase.com'),
  HOLDFAST_STATE_DIR: z.string().default('.holdfast'),
});

const Health = z.array(
  z.object({
    name: z.string(),
    status: z.enum(['COMING_UP', 'ACTIVE_HEALTHY', 'UNHEALTHY']),
    error: z.string().optional(),
  }),
);
const Lints = z.object({
  lints: z.array(z.object({ level: Advice.shape.level, title: z.string(), detail: z.string() })),
});
const Variant = z.object({
  id: z.string(),
  price: z.object({ amount: z.number(), interval: z.string() }),
});
const Addons = z.object({
  selected_addons: z.array(z.object({ type: z.string(), variant: Variant })),
  available_addons: z.array(z.object({ type: z.string(), variants: z.array(Variant) })),
});
const Poolers = z.array(
  z.object({
    database_type: z.string(),
    default_pool_size: z.number().nullable(),
    max_client_conn: z.number().nullable(),
  }),
);
const Disk = z.object({ metrics: z.object({ fs_size_bytes: z.number(), fs_used_bytes: z.number() }) });

export function createActivities(variables: z.output<typeof env>, settings: Settings) {
  const api = createHttp({
    what: 'Supabase',
    baseUrl: variables.SUPABASE_MANAGEMENT_URL,
    token: variables.SUPABASE_ACCESS_TOKEN,
  });
  const projectOf = ({ service, environment }: Scope): string => {
    const project = settings.services.find(({ name }) => name === service)?.environments[environment]?.database.project;
    if (project === undefined)
      throw failure('NotConfigured', `${service}/${environment}: database.project is not configured`);
    return project;
  };
  const journalOf = (scope: Scope) => openJournal(variables.HOLDFAST_STATE_DIR, 'compute', scope);
  const addons = (project: string) => api.get(`/v1/projects/${project}/billing/addons`, Addons);
  const computeOf = ({ selected_addons: selected }: z.output<typeof Addons>): string =>
    selected.find(({ type }) => type === COMPUTE)?.variant.id ?? SMALLEST;
  const health = async (project: string): Promise<HostedService[]> => {
    const services = await api.get(`/v1/projects/${project}/health?services=${SERVICES.join(',')}`, Health);
    return services.map(({ name, status, error }) => ({
      name: name.slice(0, 40),
      healthy: status === 'ACTIVE_HEALTHY',
      status: [status, error].filter(Boolean).join(': ').slice(0, 300),
    }));
  };

  /** Ask for a compute and wait until the project runs on it and is healthy. What passes is waited for, up to twelve minutes. */
  const settle = async (project: string, to: string): Promise<void> => {
    const deadline = Date.now() + SETTLED_WITHIN_MS;
    for (let last = 'it did not settle'; ;) {
      heartbeat();
      try {
        if (computeOf(await addons(project)) !== to)
          await api.send('PATCH', `/v1/projects/${project}/billing/addons`, z.unknown(), {
            addon_type: COMPUTE,
            addon_variant: to,
          });
        const ill = (await health(project)).filter(({ healthy }) => !healthy);
        if (ill.length === 0 && computeOf(await addons(project)) === to) return;
        last = ill.map(({ name, status }) => `${name} is ${status}`).join(', ') || last;
      } catch (error) {
        if ((error as { nonRetryable?: boolean }).nonRetryable !== false) throw error;
        last = (error as Error).message;
      }
      if (Date.now() > deadline) throw failure('Unavailable', `compute ${to} of ${project}: ${last}`);
      await sleep(POLL_MS);
    }
  };

  return {
    async hostedServices(scope: Scope): Promise<HostedService[]> {
      return await health(projectOf(scope));
    },
    /** The advice on performance that is more than a remark, worst first. */
    async hostedAdvice(scope: Scope): Promise<Advice[]> {
      const { lints } = await api.get(`/v1/projects/${projectOf(scope)}/advisors/performance`, Lints);
      const order = Advice.shape.level.options;
      return lints
        .filter(({ level }) => level !== 'INFO')
        .toSorted((a, b) => order.indexOf(a.level) - order.indexOf(b.level))
        .slice(0, SHOWN)
        .map(({ level, title, detail }) => ({ level, title: `${title}: ${detail}`.slice(0, 300) }));
    },
    async hostedCapacity(scope: Scope): Promise<HostedCapacity> {
      const project = projectOf(scope);
      const [has, poolers, { metrics }] = await Promise.all([
        addons(project),
        api.get(`/v1/projects/${project}/config/database/pooler`, Poolers),
        api.get(`/v1/projects/${project}/config/disk/util`, Disk),
      ]);
      const compute = computeOf(has);
      const sizes = has.available_addons.find(({ type }) => type === COMPUTE)?.variants ?? [];
      const byPrice = sizes.toSorted((a, b) => a.price.amount - b.price.amount);
      const price = byPrice.find(({ id }) => id === compute)?.price.amount;
      const larger = price === undefined ? undefined : byPrice.find((size) => size.price.amount > price);
      const pooler = poolers.find(({ database_type }) => database_type === 'PRIMARY');
      return {
        project,
        compute,
        ...(larger && { larger: { compute: larger.id, price: `$${larger.price.amount} ${larger.price.interval}` } }),
        ...(pooler?.default_pool_size != null && { poolSize: pooler.default_pool_size }),
        ...(pooler?.max_client_conn != null && { maxClients: pooler.max_client_conn }),
        disk: { usedBytes: metrics.fs_used_bytes, sizeBytes: metrics.fs_size_bytes },
      };
    },
    /**
     * Idempotent on `approval.id`: a size that is there is not asked for again. Heartbeats every two seconds.
     * @throws StaleApproval (permanent) when the project has another size than `from`; Refused when Supabase says no.
     */
    async resizeCompute(approval: Approval<ResizeCompute>): Promise<Effect> {
      const { project, from, to, ...scope } = approvedAction(ResizeCompute, approval);
      if (project !== projectOf(scope))
        throw failure('StaleApproval', `the project is ${projectOf(scope)} now, not ${project}`);
      const journal = journalOf(scope);
      const now = computeOf(await addons(project));
      if (now !== from && !(now === to && (await journal.knows(approval.id))))
        throw failure('StaleApproval', `${project} runs on ${now}, not on ${from}`);
      const { stage, summary } = await journal.begin({ key: approval.id, fence: approval.fence });
      if (stage === 'done') return { changed: false, summary };
      await settle(project, to);
      const done = `${project} runs on ${to} instead of ${from}`;
      await journal.done(approval.id, done);
      return { changed: true, summary: done };
    },
    /**
     * Return to the compute before, once. Nothing happens when it was not changed for this.
     * @throws Fenced (permanent) when a later change has acted since; StaleApproval when it has another now.
     */
    async undoResizeCompute(approval: Approval<ResizeCompute>): Promise<Effect> {
      const { project, from, to, ...scope } = approvedAction(ResizeCompute, approval);
      const journal = journalOf(scope);
      if (!(await journal.knows(approval.id)))
        return { changed: false, summary: `the compute of ${project} was not changed: nothing to undo` };
      const key = `${approval.id}:undo`;
      const { stage, summary } = await journal.begin({ key, fence: approval.fence });
      if (stage === 'done') return { changed: false, summary };
      const now = computeOf(await addons(project));
      if (now !== from && now !== to) throw failure('StaleApproval', `${project} runs on ${now}, not on ${to}`);
      await settle(project, from);
      const done = `${project} runs on ${from} again`;
      await journal.done(key, done);
      return { changed: now !== from, summary: done };
    },
  } satisfies HostedDatabase;
}
