import { createRoute, z } from '@hono/zod-openapi';
import { failure } from '../../errors.ts';
import { audited } from '../../operations/audited.ts';
import { silencedUntil, type Silence } from '../../silences.ts';
import type { Parts } from '../parts.ts';
import type { Principal } from '../rights.ts';
import { answers, body, type Endpoint } from './endpoint.ts';
import * as schemas from './schemas.ts';

/** A token for some services sees and changes those silences alone that are of one of them. */
const isOwn = ({ services }: Principal, { match }: Pick<Silence, 'match'>): boolean =>
  services.length === 0 || services.includes(match['service'] ?? '');

/** Which alerts open nothing for a while. */
export function silenceRoutes(endpoint: Endpoint, parts: Parts): void {
  const { silences } = parts;
  const list = createRoute({
    method: 'get',
    path: '/api/silences',
    responses: answers(schemas.Silences, 'What is silenced now, what ends first before the others'),
  });
  endpoint('read', list, (c) =>
    c.json({ silences: silences.list().filter((one) => isOwn(c.var.principal, one)) }, 200),
  );
  const add = createRoute({
    method: 'post',
    path: '/api/silences',
    request: body(schemas.NewSilence),
    responses: answers(schemas.Silence, 'The silence'),
  });
  endpoint('respond', add, async (c) => {
    const { principal } = c.var;
    const { for: lasting, ...of } = c.req.valid('json');
    const labels = Object.entries(of.match).map((pair) => pair.join('='));
    const noted = { who: principal.name, via: 'api', what: 'silence', on: labels.join(' ').slice(0, 1000) };
    const silence = await audited(parts, { ...noted, detail: of.reason }, async () => {
      if (!isOwn(principal, of))
        throw failure(
          'NotAllowed',
          `${principal.name} silences its own alone: service=${principal.services.join(' or ')}`,
        );
      return silences.add({ ...of, until: silencedUntil(lasting), by: principal.name });
    });
    return c.json(silence, 200);
  });
  const end = createRoute({
    method: 'delete',
    path: '/api/silences/{silence}',
    request: { params: z.object({ silence: z.string().max(40) }) },
    responses: answers(schemas.Accepted, 'The silence has ended'),
  });
  endpoint('respond', end, async (c) => {
    const { principal } = c.var;
    const { silence: id } = c.req.valid('param');
    await audited(parts, { who: principal.name, via: 'api', what: 'unsilence', on: id }, async () => {
      const own = silences.list().some((one) => one.id === id && isOwn(principal, one));
      if (!own || !silences.remove(id)) throw failure('NotFound', `there is no silence "${id}"`);
    });
    return c.json({ accepted: true as const }, 200);
  });
}
