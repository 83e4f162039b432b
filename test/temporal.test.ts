import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { NativeConnection, Worker } from '@temporalio/worker';
import { createActivities } from '../activities/service-control.ts';
import { createSimulator } from '../activities/simulator.ts';
import { loadConfig } from '../src/config.ts';
import type { ChangeRequest, Status } from '../src/contracts/index.ts';
import { freePort } from '../src/embedded/ports.ts';
import { startTemporal } from '../src/embedded/temporal.ts';
import { failure } from '../src/errors.ts';
import { temporalOf } from '../src/temporal.ts';
import { workflowBundle } from '../workers/bundle.ts';
import { settings } from './activities/settings.ts';
import { removeScratch, scratchFolder } from './embedded/scratch.ts';
import { until } from './support/until.ts';
import { behindMutualTls, makeCertificates } from './support/certificates.ts';
import { incident, policyOf } from './support/skipped-time.ts';

const { History } = temporal.api.history.v1;
const { DescribeWorkflowExecutionResponse, QueryWorkflowResponse } = temporal.api.workflowservice.v1;
const stateDir = scratchFolder();
const certificates = makeCertificates(stateDir);
afterAll(() => removeScratch(stateDir));

const profiles = join(stateDir, 'profiles.toml');
writeFileSync(
  profiles,
  `[profile.default]\naddress = "plain.example:7233"\n
   [profile.cloud]\naddress = "cloud.example:7233"\nnamespace = "ops.a1b2"\napi_key = "of-the-file"\n
   [profile.cloud.grpc_meta]\nteam = "ops"\n
   [profile.mutual]\naddress = "mutual.example:7233"
   [profile.mutual.tls]\nclient_cert_path = "${certificates.client.cert}"\nclient_key_path = "${certificates.client.key}"\n`,
);
const TEMPORAL_CONFIG_FILE = profiles;

it('takes a profile of a TOML file, and variables over it', () => {
  expect(temporalOf({ TEMPORAL_CONFIG_FILE })).toMatchObject({ address: 'plain.example:7233', namespace: 'default' });
  const cloud = { TEMPORAL_CONFIG_FILE, TEMPORAL_PROFILE: 'cloud' };
  expect(temporalOf(cloud)).toMatchObject({
    namespace: 'ops.a1b2',
    connection: { address: 'cloud.example:7233', apiKey: 'of-the-file', tls: true, metadata: { team: 'ops' } },
  });
  expect(temporalOf({ ...cloud, TEMPORAL_API_KEY: 'of-the-environment' }).connection.apiKey).toBe('of-the-environment');
  expect(temporalOf({ TEMPORAL_CONFIG_FILE, TEMPORAL_PROFILE: 'mutual' }).connection.tls).toMatchObject({
    clientCertPair: { crt: new Uint8Array(readFileSync(certificates.client.cert)) },
  });
  expect(temporalOf({ TEMPORAL_CONFIG_FILE: '/nonexistent' }).connection).toEqual({ address: '127.0.0.1:7233' });
});

it('says what is wrong with a profile', () => {
  expect(() => temporalOf({ TEMPORAL_CONFIG_FILE, TEMPORAL_PROFILE: 'none' })).toThrow(
    "Cannot start, the connection to Temporal is wrong: Profile 'none' not found in config data",
  );
});

it('takes the embedded Temporal whole, or nothing of it where another is named', () => {
  const folder = scratchFolder();
  const embedded = 'TEMPORAL_ADDRESS="127.0.0.1:7299"\nTEMPORAL_TLS="false"\nSHOP_PORT="1"\n';
  writeFileSync(join(folder, 'platform.env'), embedded);
  const configOf = (env: Record<string, string>) =>
    loadConfig({ HOLDFAST_STATE_DIR: folder, TEMPORAL_CONFIG_FILE, ...env });
  expect(loadConfig({ HOLDFAST_STATE_DIR: folder, HOME: folder }).temporal.address).toBe('127.0.0.1:7299');
  const named = configOf({ TEMPORAL_PROFILE: 'cloud' });
  expect(named.temporal.connection).toMatchObject({ address: 'cloud.example:7233', tls: true });
  expect(named).toMatchObject({ TEMPORAL_ADDRESS: 'cloud.example:7233', TEMPORAL_NAMESPACE: 'ops.a1b2' });
  expect(named.env['SHOP_PORT']).toBe('1');
});

const CANARY = 'canary-5f0c';
const request: ChangeRequest = {
  service: 'shop',
  environment: 'production',
  key: 'one',
  holder: 'test/one',
  kind: 'roll-back',
  summary: CANARY,
};

it('keeps nothing readable at a Temporal that it reaches over mutual TLS', async () => {
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const proxy = await behindMutualTls(address, certificates);
  const { connection, namespace, dataConverter } = temporalOf({
    TEMPORAL_CONFIG_FILE: '/nonexistent',
    TEMPORAL_ADDRESS: proxy.address,
    TEMPORAL_TLS_SERVER_NAME: 'temporal',
    TEMPORAL_TLS_SERVER_CA_CERT_PATH: certificates.authority,
    TEMPORAL_TLS_CLIENT_CERT_PATH: certificates.client.cert,
    TEMPORAL_TLS_CLIENT_KEY_PATH: certificates.client.key,
    HOLDFAST_CODEC_KEYS: `test=${randomBytes(32).toString('base64')}`,
  });
  const withoutCertificate = temporalOf({
    TEMPORAL_ADDRESS: proxy.address,
    TEMPORAL_TLS_SERVER_NAME: 'temporal',
    TEMPORAL_TLS_SERVER_CA_CERT_PATH: certificates.authority,
  });
  await expect(Connection.connect({ ...withoutCertificate.connection, connectTimeout: '2 seconds' })).rejects.toThrow();

  const native = await NativeConnection.connect(connection);
  const refused = async () => {
    throw failure('NotAllowed', `${CANARY} in a failure`);
  };
  const { ports } = createSimulator({
    policy: async () => policyOf(),
    errorPatterns: refused,
    recentReleases: refused,
    page: async () => undefined,
  });
  const worker = await Worker.create({
    connection: native,
    namespace,
    dataConverter,
    taskQueue: 'holdfast',
    workflowBundle: await workflowBundle('.holdfast', dataConverter),
    activities: ports,
    sinks: { failures: { workflowFailed: { fn: () => undefined } } },
  });
  const client = new Client({ connection: await Connection.connect(connection), namespace, dataConverter });
  const onlooker = new Client({ connection: await Connection.connect({ address }) });
  await worker.runUntil(async () => {
    const inActivity = new MockActivityEnvironment(
      {},
      { client: new Client({ connection: native, namespace, dataConverter }) },
    );
    const control = createActivities({ HOLDFAST_TASK_QUEUE: 'holdfast' }, settings);
    const scope = { service: 'shop', environment: 'production' };
    expect(await inActivity.run(() => control.ledger(scope))).toEqual({ environment: 'production', changes: [] });
    expect(await inActivity.run(() => control.requestChange(request))).toMatchObject({ granted: true });
    expect(await inActivity.run(() => control.ledger(scope))).toMatchObject({
      changes: [expect.objectContaining({ summary: CANARY })],
    });

    const opened = await client.workflow.start('highErrorRate', {
      workflowId: 'incident.shop.high-error-rate',
      taskQueue: 'holdfast',
      args: [incident({ summary: CANARY })],
      memo: { openedByBatch: CANARY },
    });
    const timeline = async () => JSON.stringify((await opened.query<Status>('status')).timeline);
    await until(async () => (await timeline()).includes(`${CANARY} in a failure`));
    expect((await opened.describe()).memo).toMatchObject({ openedByBatch: CANARY });

    const execution = { workflowId: 'incident.shop.high-error-rate' };
    const query = { queryType: '__temporal_workflow_metadata' };
    const seen = [
      History.encode(await onlooker.workflow.getHandle('incident.shop.high-error-rate').fetchHistory()),
      History.encode(await onlooker.workflow.getHandle('control.shop').fetchHistory()),
      DescribeWorkflowExecutionResponse.encode(
        await onlooker.workflowService.describeWorkflowExecution({ namespace, execution }),
      ),
      QueryWorkflowResponse.encode(await onlooker.workflowService.queryWorkflow({ namespace, execution, query })),
    ].map((one) => Buffer.from(one.finish()).toString('latin1'));
    for (const text of seen) {
      expect(text).toContain('binary/encrypted');
      expect(text).not.toContain(CANARY);
    }
  });
  await native.close();
  await client.connection.close();
  await onlooker.connection.close();
  proxy.close();
});
