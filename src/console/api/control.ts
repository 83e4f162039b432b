import { createRoute } from '@hono/zod-openapi';
import { failure } from '../../errors.ts';
import { audited } from '../../operations/audited.ts';
import type { Scope } from '../../contracts/index.ts';
import { controlOf, setFreeze, setKillSwitch } from '../../operations/control.ts';
import type { Parts } from '../parts.ts';
import type { Principal } from '../rights.ts';
import { answers, body, type Endpoint } from './endpoint.ts';
import * as schemas from './schemas.ts';

/** A machine may hold changes up. */
function assertPerson({ kind }: Principal): void {
  if (kind === 'token') throw failure('NotAllowed', 'to let changes go on is for people: a token is nobody');
}

/** What holds changes up, and lets them go on: the kill switch of a service, and freezes of its environments. */
export function controlRoutes(endpoint: Endpoint, parts: Parts): void {
  const { access } = parts;
  /** Whether a freeze until then would let changes go on sooner than the one that lasts. */
  const endsSooner = async ({ service, environment }: Scope, until?: string): Promise<boolean> => {
    const lasting = (await controlOf(access, service))?.ledgers[environment]?.freeze;
    const endOf = (end?: string): number => (end === undefined ? Infinity : Date.parse(end));
    return lasting !== undefined && endOf(lasting.until) > Date.now() && endOf(until) < endOf(lasting.until);
  };
  const killSwitch = createRoute({
    method: 'post',
    path: '/api/services/{service}/kill-switch',
    request: { params: schemas.ServiceParam, ...body(schemas.KillSwitchBody) },
    responses: answers(schemas.Accepted, 'Changes by Holdfast to the service are forbidden, or allowed again'),
  });
  endpoint('respond', killSwitch, async (c) => {
    const { principal } = c.var;
    const { name: by } = principal;
    const { service } = c.req.valid('param');
    const { on, reason } = c.req.valid('json');
    const what = `kill switch ${on ? 'on' : 'off'}`;
    await audited(parts, { who: by, via: 'api', what, on: service, detail: reason }, async () => {
      if (!on) assertPerson(principal);
      await setKillSwitch(access, service, { on, by, reason });
    });
    return c.json({ accepted: true as const }, 200);
  });

  const freeze = createRoute({
    method: 'post',
    path: '/api/services/{service}/freeze',
    request: { params: schemas.ServiceParam, ...body(schemas.FreezeBody) },
    responses: answers(schemas.Accepted, 'Deployments of the environment are held; rollbacks never are'),
  });
  endpoint('deploy', freeze, async (c) => {
    const { principal } = c.var;
    const { name: by } = principal;
    const { service } = c.req.valid('param');
    const { environment, ...held } = c.req.valid('json');
    const noted = { who: by, via: 'api', what: 'freeze', on: `${service}.${environment}`, detail: held.reason };
    await audited(parts, noted, async () => {
      if (await endsSooner({ service, environment }, held.until)) assertPerson(principal);
      await setFreeze(access, { service, environment }, { by, ...held });
    });
    return c.json({ accepted: true as const }, 200);
  });
  const unfreeze = createRoute({
    method: 'post',
    path: '/api/services/{service}/unfreeze',
    request: { params: schemas.ServiceParam, ...body(schemas.UnfreezeBody) },
    responses: answers(schemas.Accepted, 'Deployments of the environment go on'),
  });
  endpoint('deploy', unfreeze, async (c) => {
    const { principal } = c.var;
    const { service } = c.req.valid('param');
    const { environment } = c.req.valid('json');
    const noted = { who: principal.name, via: 'api', what: 'unfreeze', on: `${service}.${environment}` };
    await audited(parts, noted, async () => {
      assertPerson(principal);
      await setFreeze(access, { service, environment });
    });
    return c.json({ accepted: true as const }, 200);
  });
}
