import type { SettingsSource } from '../../src/config.ts';

/** The sample shop of docker-compose.yml's profile `shop`. What reaches into it is done by `shop-runner`, with its credentials. */
export default {
  people: [
    { name: 'responder', email: 'responder@example.com', roles: ['responder', 'approver'] },
    { name: 'lead', email: 'lead@example.com', roles: ['admin', 'approver'] },
  ],
  ladder: [
    { level: 'development-team', people: ['responder'], wait: '5 minutes' },
    { level: 'engineering-lead', people: ['lead'], wait: '10 minutes' },
  ],
  approval: { low: { roles: ['approver'] }, medium: { roles: ['approver'] }, high: { roles: ['approver'] } },
  services: [
    {
      name: 'shop',
      environments: {
        production: {
          taskQueue: 'shop-production',
          mode: 'act',
          url: 'http://shop:3000',
          measure: { windowSeconds: 60, lasting: '1 minute', every: '5 seconds' },
          monitor: { every: '15 seconds' },
          metrics: {
            source: 'prometheus',
            url: 'http://prometheus:9090',
            requests: 'http_request_duration_seconds',
            match: { job: 'shop' },
            instances: { job: 'shop' },
          },
          database: { longSeconds: 5, slowMs: 20, ownerRole: 'shop', pool: 'app', diskGiB: 20 },
        },
      },
    },
  ],
} satisfies SettingsSource;
