import { createPrivateKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { temporal } from '@temporalio/proto';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import type { WorkflowHandle, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { createSimulator, simulatedPolicy, type Simulator } from '../../activities/simulator.ts';
import type {
  AlertBatch,
  Answer,
  Incident,
  Policy,
  Result,
  Severity,
  SignedDecision,
  Status,
} from '../../src/contracts/index.ts';
import type { Ports } from '../../src/contracts/ports.ts';
import { signedBytes } from '../../src/runbook/decisions.ts';
import { workflowBundle } from '../../workers/bundle.ts';
import type { RunnerEffect } from '../../workers/runner-effects.ts';
import { skippingServer } from '../../workers/skipped-time.ts';

const POLL_MS = 50;
/** How late what is waited for may be noticed, as a share of the time that was waited. */
const LATE = 1 / 20;
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

/** What the gateway sends when one alert joins. */
export const firing = (severity: Severity): AlertBatch => ({
  batchId: 'worse',
  distinct: 1,
  deliveries: 1,
  status: 'firing',
  samples: [
    {
      key: 'k',
      source: 'test',
      status: 'firing',
      name: 'Down',
      severity,
      summary: 'worse',
      labels: {},
      startsAt: new Date(0).toISOString(),
    },
  ],
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
    via = 'cli',
    breakGlass,
  }: { key?: KeyObject } & Partial<Pick<SignedDecision, 'option' | 'reason' | 'via' | 'breakGlass'>> = {},
): SignedDecision {
  const decision = {
    workflowId: status.workflowId,
    runId: status.runId,
    digest: status.proposal?.digest ?? '0'.repeat(64),
    verdict,
    person,
    via,
    expiresAt: new Date(Date.parse(status.proposal?.expiresAt ?? '2100-01-01T00:00:00Z')).toISOString(),
    keyId: 'test',
    ...(option !== undefined && { option }),
    ...(reason !== undefined && { reason }),
    ...(breakGlass !== undefined && { breakGlass }),
  };
  return { ...decision, signature: sign(null, signedBytes(decision), key).toString('hex') };
}

export interface SkippedRun extends Simulator {
  /** Effects that the audit trail is told of, because a runner has done them. */
  ofRunners: RunnerEffect[];
  handle: WorkflowHandleWithFirstExecutionRunId;
  status(): Promise<Status>;
  /** Wait (in test time) until the run is in this state. */
  until(condition: (status: Status) => boolean): Promise<Status>;
  decide(verdict: Answer, person: string, option?: string, reason?: string): Promise<unknown>;
  result(): Promise<Result>;
  /** Its ladder of this number; 0 is that of a hand-over. */
  ladder(number: number): WorkflowHandle;
  /** Wait until a person was paged who need not decide: it happens beside the run, and after its end. */
  handedOver(): Promise<void>;
  /** Record the history of a run that does not end, the newest or this one, where histories are recorded. */
  keep: (ending: string, runId?: string) => Promise<void>;
}

export interface SkippedTime {
  env: TestWorkflowEnvironment;
  /** `forgetful`: the worker keeps nothing in memory, so that each of its tasks replays the whole history. */
  start(type: string, input: object, overrides?: Partial<Ports>, of?: { forgetful: boolean }): Promise<SkippedRun>;
  close(): Promise<void>;
}

/** Record the history of a run, under its outcome (`watching` of one that never ends) and the name of the test, for `test/workflows/replay.test.ts`. */
async function keepHistory(handle: WorkflowHandle, ending: string, folder: string): Promise<void> {
  const name = (expect.getState().currentTestName ?? '')
    .replaceAll(/[^a-z0-9]+/gi, '-')
    .slice(0, 80)
    .toLowerCase();
  const history = await handle.fetchHistory();
  dropStackTraces(history);
  writeFileSync(join(folder, `${ending}.${name}.bin`), temporal.api.history.v1.History.encode(history).finish());
}

/** Stack traces name folders of the machine that recorded them, and no replay reads them. */
function dropStackTraces(value: object): void {
  if ('stackTrace' in value) value.stackTrace = '';
  for (const inner of Object.values(value) as unknown[])
    if (inner !== null && typeof inner === 'object' && !(inner instanceof Uint8Array)) dropStackTraces(inner);
}

/** Look again and again, in test time, until it holds: each look takes its time, and some wait for an hour. */
export async function lookUntil<T>(
  env: TestWorkflowEnvironment,
  look: () => Promise<T>,
  holds: (seen: T) => boolean,
): Promise<T> {
  for (let waited = 0; ;) {
    const seen = await look();
    if (holds(seen)) return seen;
    const step = 1 + Math.floor(waited * LATE);
    await env.sleep(step * 1000);
    waited += step;
  }
}

/** A time-skipping server, for one test: a run that has ended can keep the next one's time from being skipped. Each run has a task queue, a worker and a simulated world of its own. */
export async function skippedTime(stateDir = '.holdfast'): Promise<SkippedTime> {
  const env = await skippingServer();
  const bundle = await workflowBundle(stateDir);
  const closing: (() => Promise<void>)[] = [];
  let number = 0;
  return {
    env,
    async start(type, input, overrides = {}, { forgetful } = { forgetful: false }) {
      const own = (number += 1);
      const simulator = createSimulator({ policy: async () => policyOf(), ...overrides });
      const taskQueue = `test-${own}`;
      const ofRunners: RunnerEffect[] = [];
      const worker = await Worker.create({
        connection: env.nativeConnection,
        taskQueue,
        workflowBundle: bundle,
        activities: simulator.ports,
        ...(forgetful ? { maxCachedWorkflows: 0 } : {}),
        sinks: {
          failures: { workflowFailed: { fn: () => undefined } },
          runners: { effectEnded: { fn: (_, effect: RunnerEffect) => void ofRunners.push(effect) } },
        },
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
      const keep = async (ending: string, runId?: string): Promise<void> => {
        const folder = process.env['HOLDFAST_HISTORIES'];
        const run = env.client.workflow.getHandle(handle.workflowId, runId);
        if (folder !== undefined) await keepHistory(run, ending, folder);
      };
      const status = () => handle.query<Status>('status');
      const until = (condition: (status: Status) => boolean) => lookUntil(env, status, condition);
      return {
        ...simulator,
        ofRunners,
        handle,
        keep,
        status,
        until,
        ladder: (of) => env.client.workflow.getHandle(`${type}-${own}.escalation.${of}`),
        async handedOver() {
          while (simulator.pages.every(({ asks }) => asks)) await pause(POLL_MS); // time is not skipped once a run has ended
        },
        async decide(verdict, person, option, reason) {
          const waiting = await until(({ phase }) => phase === 'waiting');
          const chosen = { ...(option !== undefined && { option }), ...(reason !== undefined && { reason }) };
          return await handle.executeUpdate('decide', { args: [signedDecision(waiting, person, verdict, chosen)] });
        },
        result: async () => {
          const result = (await handle.result()) as Result;
          await keep(result.outcome);
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
