/** A gateway with Slack beside a real Temporal, whose incidents are of a simulated world. */
import { generateKeyPairSync } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createSimulator, simulatedPolicy } from '../../activities/simulator.ts';
import { openChannels } from '../../src/channels/notifier.ts';
import type { Incident, Settings, Status } from '../../src/contracts/index.ts';
import { failure } from '../../src/errors.ts';
import { freePort } from '../../src/embedded/ports.ts';
import { startTemporal } from '../../src/embedded/temporal.ts';
import { endProcess } from '../../src/processes.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import { announcementOf } from '../channels/messages.ts';
import { startSlack, type Shown } from '../channels/slack-rig.ts';
import { runGateway, scratch, settings } from './rig.ts';
import { until } from '../support/until.ts';

export const SECRET = 'a-slack-signing-secret';
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const decisionKeys = { test: publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('hex') };
const signing = {
  HOLDFAST_SLACK_SIGNING_SECRET: SECRET,
  HOLDFAST_DECISION_KEY_ID: 'test',
  HOLDFAST_DECISION_PRIVATE_KEY: privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
};

const world = () =>
  createSimulator({
    runPipeline: async () => {
      throw failure('Refused', 'the pipeline cannot be reached');
    },
    policy: async ({ environment }) => ({
      ...simulatedPolicy,
      deployment: { ...simulatedPolicy.deployment, procedure: environment === 'staging' ? 'staging' : 'production' },
      measure: { ...simulatedPolicy.measure, windowSeconds: 1, lasting: '1 second', every: '500 ms' },
      decisionKeys,
    }),
  });

/** People: `responder` is Slack's ada and may decide, `visitor` is grace and may not, `lead` is not in Slack. */
export async function startDecisions() {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const folder = scratch();
  const { stateDir } = folder;
  const slack = await startSlack();
  const { page, announce } = openChannels(slack.env, settings).open.get('slack') ?? {};
  if (page === undefined || announce === undefined) throw new Error('the channel is not open');
  const who = (name: string, slackName?: string): Settings['people'][number] => ({
    name,
    roles: name === 'visitor' ? ['viewer'] : ['approver'],
    channels: slackName === undefined ? [] : [{ via: 'slack', to: slack.user(slackName) }],
  });
  const people = [who('responder', 'ada'), who('visitor', 'grace'), who('lead')];
  const { address } = await startTemporal({ stateDir, port: await freePort(), uiPort: await freePort() });
  const connection = await Connection.connect({ address });
  const native = await NativeConnection.connect({ address });
  const client = new Client({ connection });
  const simulator = world();
  const worker = await Worker.create({
    connection: native,
    taskQueue: 'holdfast',
    workflowBundle: await workflowBundle('.holdfast'),
    activities: simulator.ports,
  });
  const running = worker.run();
  const env = { ...slack.env, ...signing };
  const gateway = await runGateway({ stateDir, env: { TEMPORAL_ADDRESS: address, ...env }, people });
  let number = 0;

  /** A run that waits for a decision, announced in the channel with its buttons. */
  const waitingRun = async (type: string, input: object) => {
    number += 1;
    const workflowId = `${type}-${number}`;
    const { firstExecutionRunId: runId } = await client.workflow.start(type, {
      workflowId,
      taskQueue: 'holdfast',
      args: [input],
    });
    const handle = client.workflow.getHandle(workflowId, runId);
    const status = () => handle.query<Status>('status');
    await until(async () => (await status()).phase === 'waiting');
    const { proposal } = await status();
    if (proposal === undefined) throw new Error('nothing is proposed');
    const { digest, expiresAt, summary } = proposal;
    await announce(
      announcementOf({
        workflowId,
        runId,
        at: new Date().toISOString(),
        subject: summary,
        asks: { digest, summary, expiresAt },
      }),
    );
    const [{ ts } = { ts: '' }] = await slack.messages();
    return {
      handle,
      ts,
      digest,
      status,
      message: async (): Promise<Shown> =>
        (await slack.messages()).find((one) => one.ts === ts) ?? { ts, text: '', blocks: [] },
      /** The value of a button, as Slack sends it back. */
      valueOf: (action: string): string =>
        JSON.stringify({ workflowId, runId, ...(action !== 'acknowledge' && { digest }) }),
    };
  };
  return {
    stateDir,
    slack,
    gateway,
    page,
    waitingRun,
    /** An incident that waits for a decision. */
    async waiting() {
      Object.assign(simulator.world, { running: 'v2', previous: 'v1', errorRatio: 0.2 });
      const incident: Incident = {
        service: 'shop',
        environment: 'production',
        severity: 'critical',
        summary: '20 % of the requests fail',
        openedAt: new Date().toISOString(),
        openedBy: 'alert:test',
      };
      return await waitingRun('highErrorRate', incident);
    },
    /** Another gateway on the same state, for which Temporal is away. */
    gatewayAlone: (change: Record<string, string> = {}) => runGateway({ stateDir, env: { ...env, ...change }, people }),
    async [Symbol.asyncDispose]() {
      await gateway.stop();
      worker.shutdown();
      await running;
      await native.close();
      await connection.close();
      await endProcess(stateDir, 'temporal');
      await slack[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}
export type Decisions = Awaited<ReturnType<typeof startDecisions>>;
export type Waiting = Awaited<ReturnType<Decisions['waitingRun']>>;
