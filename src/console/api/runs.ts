import { createRoute } from '@hono/zod-openapi';
import { DeploymentOrder } from '../../contracts/index.ts';
import { failure } from '../../errors.ts';
import { audited } from '../../operations/audited.ts';
import { startRun } from '../../operations/deployments.ts';
import { decide, entryOf, MESSAGES, say, type Message } from '../../operations/people.ts';
import { listRuns } from '../../operations/runs.ts';
import { statusOf } from '../../operations/temporal.ts';
import { kebab } from '../../runbook/catalogue.ts';
import type { Parts } from '../parts.ts';
import { whyNot, type Principal } from '../rights.ts';
import type { Asked } from '../routes.ts';
import { answers, body, type Endpoint } from './endpoint.ts';
import * as schemas from './schemas.ts';

const run = { params: schemas.RunParam, query: schemas.RunQuery };

/** Incidents, deployments and rollbacks: read, decide, say, start. */
export function runRoutes(endpoint: Endpoint, parts: Parts): void {
  const { access } = parts;
  /** A token for some services sees and orders nothing of others. */
  const assertService = (principal: Principal, right: 'read' | 'deploy', service: string): void => {
    const why = whyNot(principal, right, service);
    if (why !== undefined) throw failure('NotAllowed', why);
  };

  for (const kind of ['incidents', 'deployments'] as const) {
    const list = createRoute({
      method: 'get',
      path: `/api/${kind}`,
      request: { query: schemas.ListQuery },
      responses: answers(schemas.RunList, `A page of ${kind}`),
    });
    endpoint('read', list, async (c) => {
      const { runs, cursor } = await listRuns(access, { kind, ...c.req.valid('query') });
      const { services } = c.var.principal;
      const seen = runs.filter(({ service }) => services.length === 0 || services.includes(service));
      return c.json({ runs: seen, ...(cursor !== undefined && { cursor }) }, 200);
    });
  }
  const read = createRoute({
    method: 'get',
    path: '/api/runs/{id}',
    request: run,
    responses: answers(schemas.Run, 'What the run tells of itself, with its whole timeline'),
  });
  endpoint('read', read, async (c) =>
    c.json(await statusOf(access, { workflowId: c.req.valid('param').id, runId: c.req.valid('query').run }), 200),
  );

  const decision = createRoute({
    method: 'post',
    path: '/api/runs/{id}/decision',
    request: { ...run, ...body(schemas.DecisionBody) },
    responses: answers(schemas.Standing, 'How the ballot stands after this decision'),
  });
  endpoint('decide', decision, async (c) => {
    const { principal } = c.var;
    const decided = c.req.valid('json');
    const ref = { workflowId: c.req.valid('param').id, runId: c.req.valid('query').run };
    const noted = { who: principal.name, via: 'api', on: ref.workflowId, ...entryOf(decided) };
    const ballot = await audited(parts, noted, () =>
      decide(access, { ...ref, ...decided, person: principal.name, via: 'api' }),
    );
    return c.json(ballot, 200);
  });

  for (const message of Object.keys(MESSAGES) as Message[]) {
    const route = createRoute({
      method: 'post',
      path: `/api/runs/{id}/${kebab(message)}`,
      request: { ...run, ...body(schemas.MessageBody) },
      responses: answers(schemas.Accepted, MESSAGES[message]),
    });
    endpoint('respond', route, async (c) => {
      const { principal } = c.var;
      const { text } = c.req.valid('json');
      if (message === 'takeOver' && principal.kind === 'token')
        throw failure('NotAllowed', 'to take over is to go on by hand, so that a person must: a token is nobody');
      if (message === 'note' && text === '') throw failure('Refused', 'there is nothing in the note');
      const ref = { workflowId: c.req.valid('param').id, runId: c.req.valid('query').run };
      const noted = { who: principal.name, via: 'api', what: message, on: ref.workflowId, detail: text };
      await audited(parts, noted, () => say(access, { ...ref, message, person: principal.name, text }));
      return c.json({ accepted: true as const }, 200);
    });
  }

  const start = async (c: Asked, kind: 'deployment' | 'rollback', given: Record<string, string | undefined>) => {
    const { principal } = c.var;
    const asked = Object.entries(given).filter(([, value]) => value !== undefined);
    const order = DeploymentOrder.parse({
      ...Object.fromEntries(asked),
      orderedBy: principal.kind === 'person' ? `api:${principal.name}` : principal.name,
      ...(principal.behind !== undefined && { onBehalfOf: principal.behind }),
    });
    const { service, environment } = order;
    const noted = { who: principal.name, via: 'api', what: `start ${kind}`, on: `${kind}.${service}.${environment}` };
    return await audited(parts, { ...noted, detail: order.ref ?? '' }, async () => {
      assertService(principal, 'deploy', service);
      const of = access.settings.services.find(({ name }) => name === service)?.environments[environment];
      if (kind === 'rollback' && principal.kind === 'token' && of?.deployment.procedure === 'production')
        throw failure('NotAllowed', 'a rollback of production needs no approval, so that a person must ask for it');
      return await startRun(access, kind, order);
    });
  };
  const deploy = createRoute({
    method: 'post',
    path: '/api/deployments',
    request: body(schemas.OrderBody),
    responses: answers(schemas.Started, 'The deployment that has begun, or the same one that runs'),
  });
  endpoint('deploy', deploy, async (c) => c.json(await start(c, 'deployment', c.req.valid('json')), 200));
  const rollback = createRoute({
    method: 'post',
    path: '/api/rollbacks',
    request: body(schemas.RollbackBody),
    responses: answers(schemas.Started, 'The rollback that has begun, or the same one that runs'),
  });
  endpoint('deploy', rollback, async (c) => {
    const { to: ref, ...scope } = c.req.valid('json');
    return c.json(await start(c, 'rollback', { ...scope, ref }), 200);
  });
}
