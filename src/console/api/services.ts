import { createRoute } from '@hono/zod-openapi';
import { onCallReport } from '../../operations/on-call.ts';
import { servicesHealth } from '../../operations/services.ts';
import type { Parts } from '../parts.ts';
import { answers, type Endpoint } from './endpoint.ts';
import * as schemas from './schemas.ts';

/** How the services are, and who is on call for them. */
export function serviceRoutes(endpoint: Endpoint, { access }: Parts): void {
  const services = createRoute({
    method: 'get',
    path: '/api/services',
    responses: answers(schemas.Services, 'The services, what runs in each environment, and which alerts fire'),
  });
  endpoint('read', services, async (c) => {
    const { services: own } = c.var.principal;
    const found = await servicesHealth(access, (name) => own.length === 0 || own.includes(name));
    return c.json({ services: found }, 200);
  });
  const onCall = createRoute({
    method: 'get',
    path: '/api/on-call',
    responses: answers(
      schemas.OnCall,
      'Who is on call now and next, overrides and gaps, and whom each level would page',
    ),
  });
  endpoint('read', onCall, (c) => c.json(onCallReport(access.settings, Date.now()), 200));
}
