/**
 * One run of a runbook in skipped time: `node workers/drill.ts <file>`. The file holds a `DrillOrder`, standard output gets a
 * `Drilled`; both are JSON. The workflow is the real one; every system is simulated, or answers as it was recorded.
 */
import { readFileSync } from 'node:fs';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { configuration } from '../activities/index.ts';
import { createSimulator, simulatedCode } from '../activities/simulator.ts';
import { cannotStart, loadConfig, loadSettings } from '../src/config.ts';
import { DrillOrder, type Drilled, type Recorded, type Status } from '../src/contracts/index.ts';
import type { Ports } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { workflowBundle } from './bundle.ts';
import { skippingServer } from './skipped-time.ts';

const LOOK_MS = 5000;
const TASK_QUEUE = 'drill';

/** Answers in the order in which they were recorded. */
function answering(recorded: Recorded): Partial<Ports> {
  const entries = Object.entries(recorded).map(([name, answers]) => {
    let next = 0;
    return [
      name,
      async (): Promise<unknown> => {
        const answer = answers[Math.min(next, answers.length - 1)];
        next += 1;
        if (answer !== undefined && 'failure' in answer) throw failure('NotFound', answer.failure);
        return answer?.value;
      },
    ];
  });
  return Object.fromEntries(entries) as Partial<Ports>;
}

async function drill({ type, incident, config: file, recorded, decisions, acts }: DrillOrder): Promise<Drilled> {
  const config = loadConfig();
  const settings = await loadSettings({ ...config, HOLDFAST_CONFIG: file });
  const configured = configuration.createActivities({ HOLDFAST_DECISION_PUBLIC_KEYS: '' }, settings);
  const simulator = createSimulator({
    ...answering(recorded),
    async policy(scope) {
      const { review: _unreviewed, runners: _none, ...policy } = await configured.policy(scope);
      return acts ? { ...policy, mode: 'act' } : policy;
    },
  });
  const env = await skippingServer();
  try {
    const worker = await Worker.create({
      connection: env.nativeConnection,
      taskQueue: TASK_QUEUE,
      workflowBundle: await workflowBundle(config.HOLDFAST_STATE_DIR),
      activities: simulator.ports,
      sinks: { failures: { workflowFailed: { fn: () => undefined } } },
    });
    const workflowId = `incident.${incident.service}.drill`;
    return await worker.runUntil(async () => {
      const openedAt = new Date(await env.currentTimeMs()).toISOString();
      const handle = await env.client.workflow.start(type, {
        workflowId,
        taskQueue: TASK_QUEUE,
        args: [{ ...incident, openedAt }],
      });
      const status = () => handle.query<Status>('status');
      const seen: string[] = [];
      let waited = 0;
      for (const { proposal, verdict, person, afterMs } of decisions) {
        let now = await status();
        while (now.outcome === undefined && !(seen.length > proposal && now.phase === 'waiting')) {
          if (now.phase === 'waiting' && now.proposal !== undefined && !seen.includes(now.proposal.id)) {
            seen.push(now.proposal.id);
            waited = 0;
            continue;
          }
          await env.sleep(LOOK_MS);
          now = await status();
        }
        if (now.outcome !== undefined) break;
        await env.sleep(Math.max(0, afterMs - waited));
        waited = Math.max(waited, afterMs);
        const said = { by: person, code: simulatedCode(person) };
        await handle.signal(verdict === 'approved' ? 'approve' : 'reject', said).catch(() => undefined); // it has ended
      }
      await handle.result();
      return { status: await status(), pages: simulator.pages.map(({ person, level }) => ({ person, level })) };
    });
  } finally {
    await env.teardown();
  }
}

try {
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} } },
  });
  const order = DrillOrder.parse(JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')));
  console.log(JSON.stringify(await drill(order)));
} catch (error) {
  cannotStart(error);
}
