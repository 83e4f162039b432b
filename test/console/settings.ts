import { parseSettings } from '../../src/config.ts';

const measure = { windowSeconds: 1, lasting: '2 seconds', every: '1 second', minimumRequests: 1 };
const production = { url: 'http://127.0.0.1:1', mode: 'act' as const, measure, coolDown: '1 second' };

/** People of every role, and two services. */
export const settings = parseSettings(
  {
    people: [
      { name: 'viewer', email: 'viewer@example.com', roles: ['viewer'] },
      { name: 'responder', email: 'responder@example.com', roles: ['responder'] },
      { name: 'approver', email: 'approver@example.com', roles: ['responder', 'approver'] },
      { name: 'lead', email: 'lead@example.com', roles: ['approver'] },
      { name: 'cto', email: 'cto@example.com', roles: ['admin'] },
    ],
    ladder: [
      { level: 'team', people: ['approver'], wait: '5 minutes' },
      { level: 'engineering-lead', people: ['lead'], wait: '10 minutes' },
    ],
    approval: {
      low: { roles: ['approver'] },
      medium: { roles: ['approver'] },
      high: { roles: ['approver'], quorum: 2 },
    },
    services: [
      {
        name: 'shop',
        environments: {
          production: { ...production, monitor: { every: '1 second' } },
          staging: { ...production, deployment: { procedure: 'staging' } },
        },
      },
      { name: 'mail', environments: { production } },
    ],
  },
  {},
);
