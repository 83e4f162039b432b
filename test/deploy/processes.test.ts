/** What runs in the containers of docker-compose.yml, by the same commands and variables, without containers. */
import { execFileSync, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { removeScratch, scratchFolder } from '../embedded/scratch.ts';
import { until } from '../support/until.ts';
import { behindMutualTls } from '../support/certificates.ts';
import { postgrest } from '../support/postgrest.ts';
import { compose, ROOT } from './compose.ts';
import { containersIn } from './containers.ts';

const stateDir = scratchFolder();
afterAll(() => removeScratch(stateDir));

it('serves a Temporal behind mutual TLS in production mode, and ends at once when it is told to', async () => {
  const { made, state, command, environmentOf } = containersIn(stateDir);
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const server = { cert: join(made, 'temporal_server.pem'), key: join(made, 'temporal_server.key') };
  const temporal = await behindMutualTls(address, { authority: join(made, 'temporal_ca.pem'), server });
  await using record = await postgrest(readFileSync(join(made, 'jwt_secret'), 'utf8'));
  const change = {
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_TLS_SERVER_NAME: 'temporal', // the address is no name
    RECORD_SUPABASE_URL: record.url,
  };
  const run = (name: string, more: Record<string, string> = {}) => {
    const env = environmentOf(name, { ...change, ...more });
    const child = spawn(process.execPath, command(name), { cwd: ROOT, env });
    const running = { said: '', child, ended: new Promise((resolve) => void child.on('exit', resolve)) };
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => void (running.said += String(chunk)));
    return running;
  };

  const doctor = run('doctor');
  expect([await doctor.ended, doctor.said]).toEqual([0, expect.stringContaining('"holdfast" was registered')]);
  expect(doctor.said).toContain('RECORD_SUPABASE_SECRET_KEY is taken');

  const gateways = await Promise.all(
    ['gateway-1', 'gateway-2'].map(async (name) => {
      const ownPort = String(await freePort()); // they share this host
      const running = run(name, { HOLDFAST_GATEWAY_HOST: '127.0.0.1', HOLDFAST_GATEWAY_PORT: ownPort });
      return Object.assign(running, { ownPort });
    }),
  );
  const workers = await Promise.all(
    ['worker-1', 'worker-2'].map(async (name) =>
      run(name, { HOLDFAST_WORKER_METRICS: `127.0.0.1:${await freePort()}` }),
    ),
  );
  for (const gateway of gateways) await until(() => gateway.said.includes('gateway ready'));
  expect(gateways.filter(({ said }) => said.includes('nobody can sign in'))).toEqual([]);
  for (const worker of workers) await until(() => worker.said.includes('worker ready on task queue holdfast as build'));
  expect(readdirSync(state)).toContain(`worker.${hostname()}.ready`);
  const healthy = compose.services['gateway-1']?.healthcheck?.test?.slice(2) ?? [];
  for (const { ownPort } of gateways) {
    const asked = healthy.map((word) => word.replace('4100', ownPort));
    expect(execFileSync(process.execPath, asked, { cwd: ROOT }).toString()).toBe('');
    expect((await fetch(`http://127.0.0.1:${ownPort}/metrics`)).status).toBe(401);
  }

  const began = Date.now();
  for (const { child } of [...gateways, ...workers]) child.kill('SIGTERM');
  expect(await Promise.all([...gateways, ...workers].map(({ ended }) => ended))).toEqual([0, 0, 0, 0]);
  expect(Date.now() - began).toBeLessThan(30_000);
  expect(readdirSync(state)).not.toContain(`worker.${hostname()}.ready`);
  expect([doctor, ...gateways, ...workers].filter(({ said }) => said.includes('DEP0123'))).toEqual([]);
  temporal.close();
}, 180_000);
