import { createPrivateKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporal } from '@temporalio/proto';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import type { WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { createSimulator, simulatedPolicy, type Simulator } from '../../activities/simulator.ts';
import type { Answer, Incident, Policy, Result, SignedDecision, Status } from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { signedBytes } from '../../src/runbook/decisions.ts';
import { temporalTestServer } from '../../src/embedded/temporal.ts';
import { workflowBundle } from '../../workers/bundle.ts';

Runtime.install({ logger: new DefaultLogger('ERROR') });
const keys = generateKeyPairSync('ed25519');
const publicKey = keys.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('hex');

/** The simulator's policy with the test's own decision key. */
export const policyOf = (change: Partial<Policy> = {}): Policy => ({
  ...simulatedPolicy,
  decisionKeys: { test: publicKey },
  ...change,
});

export const incident = (change: Partial<Incident> = {}): Incident => ({
  service: 'shop',
  environment: 'production',
  severity: 'critical',
  summary: '20 % of the requests fail',
  openedAt: new Date(0).toISOString(),
  openedBy: 'alert:test',
  ...change,
});

const ownKey = (): KeyObject => createPrivateKey(keys.privateKey.export({ type: 'pkcs8', format: 'pem' }));

export function signedDecision(
  status: Status,
  person: string,
  verdict: Answer,
  {
    key = ownKey(),
    option,
    reason,
  }: { key?: KeyObject; option?: string | undefined; reason?: string | undefined } = {},
): SignedDecision {
  const decision = {
    workflowId: status.workflowId,
    runId: status.runId,
    digest: status.proposal?.digest ?? '0'.repeat(64),
    verdict,
    person,
    via: 'cli' as const,
    expiresAt: new Date(Date.parse(status.proposal?.expiresAt ?? '2100-01-01T00:00:00Z')).toISOString(),
    keyId: 'test',
    ...(option !== undefined && { option }),
    ...(reason !== undefined && { reason }),
  };
  return { ...decision, signature: sign(null, signedBytes(decision), key).toString('hex') };
}

export interface SkippedRun extends Simulator {
  handle: WorkflowHandleWithFirstExecutionRunId;
  status(): Promise<Status>;
  /** Wait (in test time) until the run is in this state. */
  until(condition: (status: Status) => boolean): Promise<Status>;
  decide(verdict: Answer, person: string, option?: string, reason?: string): Promise<unknown>;
  result(): Promise<Result>;
}

export interface SkippedTime {
  env: TestWorkflowEnvironment;
  /** `forgetful`: the worker keeps nothing in memory, so that each of its tasks replays the whole history. */
  start(type: string, input: object, overrides?: Partial<Ports>, of?: { forgetful: boolean }): Promise<SkippedRun>;
  close(): Promise<void>;
}

/** Record the history of a run, under the outcome and the name of the test, for `test/workflows/replay.test.ts`. */
async function keepHistory(
  handle: WorkflowHandleWithFirstExecutionRunId,
  { outcome }: Result,
  folder: string,
): Promise<void> {
  const name = (expect.getState().currentTestName ?? '')
    .replaceAll(/[^a-z0-9]+/gi, '-')
    .slice(0, 80)
    .toLowerCase();
  const history = await handle.fetchHistory();
  dropStackTraces(history);
  writeFileSync(join(folder, `${outcome}.${name}.bin`), temporal.api.history.v1.History.encode(history).finish());
}

/** Stack traces name folders of the machine that recorded them, and no replay reads them. */
function dropStackTraces(value: object): void {
  if ('stackTrace' in value) value.stackTrace = '';
  for (const inner of Object.values(value) as unknown[])
    if (inner !== null && typeof inner === 'object' && !(inner instanceof Uint8Array)) dropStackTraces(inner);
}

/** A time-skipping server, for one test: a run that has ended can keep the next one's time from being skipped. Each run has a task queue, a worker and a simulated world of its own. */
export async function skippedTime(stateDir = '.holdfast'): Promise<SkippedTime> {
  const env = await TestWorkflowEnvironment.createTimeSkipping({
    server: { executable: { type: 'existing-path', path: await temporalTestServer() } },
  });
  const KEYWORD = 2;
  const KEYWORD_LIST = 7;
  await env.connection.operatorService.addSearchAttributes({
    namespace: 'default',
    searchAttributes: {
      HoldfastService: KEYWORD,
      HoldfastEnvironment: KEYWORD,
      HoldfastSeverity: KEYWORD,
      HoldfastPhase: KEYWORD,
      HoldfastWaitingFor: KEYWORD_LIST,
    },
  });
  const bundle = await workflowBundle(stateDir);
  const closing: (() => Promise<void>)[] = [];
  let number = 0;
  return {
    env,
    async start(type, input, overrides = {}, { forgetful } = { forgetful: false }) {
      const own = (number += 1);
      const simulator = createSimulator({ policy: async () => policyOf(), ...overrides });
      const taskQueue = `test-${own}`;
      const worker = await Worker.create({
        connection: env.nativeConnection,
        taskQueue,
        workflowBundle: bundle,
        activities: simulator.ports,
        ...(forgetful ? { maxCachedWorkflows: 0 } : {}),
        sinks: { failures: { workflowFailed: { fn: () => undefined } } },
      });
      const running = worker.run();
      closing.push(async () => {
        worker.shutdown();
        await running;
      });
      const handle = await env.client.workflow.start(type, {
        workflowId: `${type}-${own}`,
        taskQueue,
        args: [input],
      });
      const status = () => handle.query<Status>('status');
      const until = async (condition: (status: Status) => boolean): Promise<Status> => {
        for (;;) {
          const now = await status();
          if (condition(now)) return now;
          await env.sleep('1 second');
        }
      };
      return {
        ...simulator,
        handle,
        status,
        until,
        async decide(verdict, person, option, reason) {
          const waiting = await until(({ phase }) => phase === 'waiting');
          return await handle.executeUpdate('decide', {
            args: [signedDecision(waiting, person, verdict, { option, reason })],
          });
        },
        result: async () => {
          const result = (await handle.result()) as Result;
          if (process.env['HOLDFAST_HISTORIES'] !== undefined)
            await keepHistory(handle, result, process.env['HOLDFAST_HISTORIES']);
          return result;
        },
      };
    },
    async close() {
      await Promise.all(closing.map((end) => end()));
      await env.teardown();
    },
  };
}
