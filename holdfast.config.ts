import { defineConfig } from './src/config.ts';

/** The sample shop on the embedded platform. Secrets come from the environment only. */
export default defineConfig((env) => {
  const port = env['SHOP_PORT'] ?? '4180';
  const stagingPort = env['SHOP_STAGING_PORT'] ?? '4181';
  const flags = env['SHOP_FLAGS_FILE'] ?? '.holdfast/shop-flags.json';
  const given = (names: Record<string, string | undefined>): Record<string, string> =>
    Object.fromEntries(Object.entries(names).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
  const metricsUrl = new URL('/metrics', env['CADDY_ADMIN_URL'] ?? 'http://127.0.0.1:2019').href;
  const requests = 'caddy_http_request_duration_seconds';
  const measure = { windowSeconds: 10, lasting: '20 seconds', every: '2 seconds', minimumRequests: 10 };
  const releases = {
    repository: env['SHOP_REPOSITORY'] ?? '.holdfast/shop.git',
    install: ['npm', 'ci', '--omit=dev', '--prefer-offline'],
    build: ['npm', 'run', '--silent', 'build'],
    start: ['node', 'server.ts'],
    env: given({
      SUPABASE_URL: env['SUPABASE_URL'],
      SUPABASE_PUBLISHABLE_KEY: env['SUPABASE_PUBLISHABLE_KEY'],
      SENTRY_DSN: env['SHOP_SENTRY_DSN'],
      DATABASE_URL: env['SHOP_DATABASE_URL'],
      FLAGS_FILE: flags,
      VITALS_SCRIPT: env['HOLDFAST_GATEWAY_PORT'] && `http://127.0.0.1:${env['HOLDFAST_GATEWAY_PORT']}/vitals.js`,
    }),
  };
  const smoke = [
    { name: 'it is well', path: '/healthz', json: { type: 'object', properties: { status: { const: 'ok' } } } },
    { name: 'the shop window', path: '/', contains: '<h1>Shop</h1>' },
    { name: 'the products', path: '/api/products', json: { type: 'array', minItems: 1 } },
  ];
  return {
    people: [
      { name: 'responder', email: 'responder@example.com', roles: ['responder', 'approver'] },
      { name: 'lead', email: 'lead@example.com', roles: ['approver'] },
      { name: 'cto', email: 'cto@example.com', roles: ['admin', 'approver'] },
    ],
    ladder: [
      { level: 'development-team', people: ['responder'], wait: '5 minutes' },
      { level: 'engineering-lead', people: ['lead'], wait: '10 minutes' },
      { level: 'cto', people: ['cto'], wait: '15 minutes' },
    ],
    approval: { low: { roles: ['approver'] }, medium: { roles: ['approver'] }, high: { roles: ['approver'] } },
    services: [
      {
        name: 'shop',
        environments: {
          staging: {
            mode: 'act',
            url: `http://127.0.0.1:${stagingPort}`,
            measure,
            releases: { ...releases, server: 'shop-staging', listen: `127.0.0.1:${stagingPort}` },
            deployment: {
              procedure: 'staging',
              pipeline: { commands: [releases.install, ['node', '--test']], timeout: '5 minutes' },
              canary: { weights: [] }, // nobody is there to notice
              ...(env['CHROMIUM_PATH'] !== undefined && {
                verify: { command: ['node', 'verify.ts'], timeout: '2 minutes' },
              }),
              smoke,
            },
          },
          production: {
            mode: 'act',
            url: `http://127.0.0.1:${port}`,
            alertAt: { errorRatio: 0.05, p95Ms: 2000 },
            measure,
            coolDown: '15 seconds', // game days follow each other; the default is ten minutes
            monitor: { every: '2 seconds' },
            errors: { project: 'shop' },
            metrics: {
              url: metricsUrl,
              requests,
              match: { server: 'shop-production' },
              canaryMatch: { server: 'shop-production-canary' },
            },
            flags: { file: flags },
            performance: {
              memoryLimitMiB: 1024,
              bundle: { folder: 'dist', metafile: 'dist/meta.json' },
              caching: [
                { route: 'GET /api/recommendations', path: '/api/recommendations', flag: 'cache-recommendations' },
              ],
              vitals: { origins: [`http://127.0.0.1:${port}`], windowSeconds: 60, minimumSamples: 8 },
              ...(env['CHROMIUM_PATH'] !== undefined && { laboratory: {} }),
            },
            database: { longSeconds: 5, slowMs: 20, ownerRole: 'holdfast_owner', pool: 'app', diskGiB: 20 },
            releases: { ...releases, instances: 2, server: 'shop-production', listen: `127.0.0.1:${port}` },
            deployment: {
              after: 'staging',
              backup: {},
              migrations: 'supabase/migrations',
              canary: { weights: [5, 25], bake: '20 seconds' },
              smoke,
            },
          },
        },
      },
    ],
    routes: [
      { match: { alertname: 'HighErrorRate' }, service: 'shop', environment: 'production', runbook: 'high-error-rate' },
    ],
  };
});
