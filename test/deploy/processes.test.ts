/** What runs in the containers of docker-compose.yml, by the same commands and variables, without containers. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';
import { behindMutualTls } from '../support/certificates.ts';
import { postgrest } from '../support/postgrest.ts';
import { compose, ROOT } from './compose.ts';

const stateDir = scratchFolder();
const made = join(stateDir, 'made');
afterAll(() => removeScratch(stateDir));

/** The container's variables, its paths being ours, and its secrets in a folder of its own. */
function environmentOf(name: string, change: Record<string, string>): Record<string, string> {
  const { environment = {}, secrets = [] } = compose.services[name] ?? {};
  const mounted = join(stateDir, `secrets-${name}`);
  mkdirSync(mounted, { recursive: true });
  for (const secret of secrets.filter((one) => !readdirSync(mounted).includes(one)))
    symlinkSync(join(made, secret), join(mounted, secret));
  return {
    PATH: process.env['PATH'] ?? '',
    NODE_ENV: 'production',
    HOLDFAST_PRODUCTION: '1',
    HOLDFAST_STATE_DIR: join(stateDir, 'state'),
    HOLDFAST_SECRETS_DIR: mounted,
    ...Object.fromEntries(
      Object.entries(environment).map(([variable, value]) => [variable, value.replace('/run/secrets', mounted)]),
    ),
    ...change,
  };
}

it('serves a Temporal behind mutual TLS in production mode, and ends at once when it is told to', async () => {
  execFileSync(process.execPath, ['scripts/make-secrets.mjs', made], { cwd: ROOT });
  mkdirSync(join(stateDir, 'state'));
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const server = { cert: join(made, 'temporal_server.pem'), key: join(made, 'temporal_server.key') };
  const temporal = await behindMutualTls(address, { authority: join(made, 'temporal_ca.pem'), server });
  await using record = await postgrest(readFileSync(join(made, 'jwt_secret'), 'utf8'));
  const port = String(await freePort());
  const change = {
    TEMPORAL_ADDRESS: temporal.address,
    HOLDFAST_GATEWAY_PORT: port,
    RECORD_SUPABASE_URL: record.url,
  };
  const run = (name: string, more: Record<string, string> = {}) => {
    const env = environmentOf(name, { ...change, ...more });
    const child = spawn(process.execPath, compose.services[name]?.command ?? [], { cwd: ROOT, env });
    const running = { said: '', child, ended: new Promise((resolve) => void child.on('exit', resolve)) };
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => void (running.said += String(chunk)));
    return running;
  };

  const doctor = run('doctor');
  expect([await doctor.ended, doctor.said]).toEqual([0, expect.stringContaining('"holdfast" was registered')]);
  expect(doctor.said).toContain('RECORD_SUPABASE_SECRET_KEY is taken');

  const gateway = run('gateway', { HOLDFAST_GATEWAY_HOST: '127.0.0.1' });
  const workers = await Promise.all(
    ['worker-1', 'worker-2'].map(
      async (name) => run(name, { HOLDFAST_WORKER_METRICS: `127.0.0.1:${await freePort()}` }), // they share this host
    ),
  );
  await until(() => gateway.said.includes('gateway ready'));
  expect(gateway.said).not.toContain('nobody can sign in');
  for (const worker of workers) await until(() => worker.said.includes('worker ready on task queue holdfast as build'));
  expect(readdirSync(join(stateDir, 'state'))).toContain(`worker.${hostname()}.ready`);
  const healthy = compose.services['gateway']?.healthcheck?.test?.slice(1) ?? [];
  const asked = healthy.map((word) => word.replace('4100', port));
  expect(execFileSync(process.execPath, asked.slice(1), { cwd: ROOT }).toString()).toBe('');
  expect((await fetch(`http://127.0.0.1:${port}/metrics`)).status).toBe(401);

  const began = Date.now();
  for (const { child } of [gateway, ...workers]) child.kill('SIGTERM');
  expect(await Promise.all([gateway, ...workers].map(({ ended }) => ended))).toEqual([0, 0, 0]);
  expect(Date.now() - began).toBeLessThan(30_000);
  expect(readdirSync(join(stateDir, 'state'))).not.toContain(`worker.${hostname()}.ready`);
  temporal.close();
}, 180_000);
