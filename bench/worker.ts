/**
 * A worker of one side, `holdfast` or `bare`, with the same activities: they answer at once, from memory, and note when they
 * were called. `GET /` tells what was noted, `GET /heap` how many bytes its workflows hold.
 */
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, NativeConnection, Worker } from '@temporalio/worker';
import { createSimulator } from '../activities/simulator.ts';
import { loadConfig } from '../src/config.ts';
import type { Scope } from '../src/contracts/index.ts';
import { workflowBundle } from '../workers/bundle.ts';
import { TUNING } from '../workers/tuning.ts';
import { workflowHeap } from './heap.ts';

export interface Noted {
  /** Service → when its first diagnostic began, ms since the epoch. */
  diagnosed: Record<string, number>;
  /** Services whose incident waits for a person. */
  waiting: string[];
}

const config = loadConfig();
const [side, port] = process.argv.slice(2);
const noted: Noted = { diagnosed: {}, waiting: [] };
const { ports } = createSimulator({ page: async ({ page }) => void noted.waiting.push(page.service) });
const bare = fileURLToPath(new URL('bare-workflow.ts', import.meta.url));
const worker = await Worker.create({
  ...TUNING,
  workflowThreadPoolSize: 1,
  connection: await NativeConnection.connect(config.temporal.connection),
  taskQueue: config.HOLDFAST_TASK_QUEUE,
  workflowBundle:
    side === 'bare'
      ? await bundleWorkflowCode({ workflowsPath: bare })
      : await workflowBundle(config.HOLDFAST_STATE_DIR),
  activities: {
    ...ports,
    recentReleases: (scope: Scope) => {
      noted.diagnosed[scope.service] ??= performance.timeOrigin + performance.now();
      return ports.recentReleases(scope);
    },
  },
});
createServer((request, response) => {
  const answer = request.url === '/heap' ? workflowHeap() : Promise.resolve(noted);
  void answer.then((body) => response.end(JSON.stringify(body)));
}).listen(Number(port), '127.0.0.1');
await worker.run();
process.exit(0);
