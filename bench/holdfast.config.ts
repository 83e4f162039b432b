import { defineConfig } from '../src/config.ts';

/** As many services as the benchmark opens incidents: `service-1` … `service-<BENCH_SERVICES>`. */
export default defineConfig((env) => ({
  people: [
    {
      name: 'responder',
      email: 'responder@example.com',
      roles: ['approver'],
      channels: env['HOLDFAST_NOTIFY_URL'] === undefined ? [] : [{ via: 'webhook', to: 'responder' }],
    },
  ],
  ladder: [{ level: 'team', people: ['responder'], wait: '1 hour' }],
  approval: { low: { roles: ['approver'] }, medium: { roles: ['approver'] }, high: { roles: ['approver'] } },
  services: Array.from({ length: Number(env['BENCH_SERVICES']) }, (_, i) => ({
    name: `service-${i + 1}`,
    environments: {
      production: {
        url: 'http://127.0.0.1:1',
        errors: { project: 'none' },
        ...(env['BENCH_ORIGIN'] !== undefined && { performance: { vitals: { origins: [env['BENCH_ORIGIN']] } } }),
      },
    },
  })),
}));
