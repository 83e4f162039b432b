import { createHash } from 'node:crypto';
import { globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, type WorkflowBundle } from '@temporalio/worker';

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = [
  'workflows/*.ts',
  'src/runbook/*.ts',
  'src/contracts/*.ts',
  'src/errors.ts',
  'workers/{preload,workflow-interceptors}.ts',
  'package-lock.json',
];

/** The workflow bundle, built once per content of its sources and kept in `<stateDir>/bundles`: a restarted worker is back in a second. */
export async function workflowBundle(stateDir: string): Promise<WorkflowBundle> {
  const digest = createHash('sha256');
  for (const file of globSync(sources, { cwd: root }).sort())
    digest.update(file).update(readFileSync(join(root, file)));
  const file = join(stateDir, 'bundles', `${digest.digest('hex').slice(0, 24)}.js`);
  try {
    return { code: readFileSync(file, 'utf8') };
  } catch {
    // not built yet
  }
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(root, 'workflows/index.ts'),
    preloadModules: [join(root, 'workers/preload.ts')],
    workflowInterceptorModules: [join(root, 'workers/workflow-interceptors.ts')],
    logger: { log() {}, trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error },
  });
  mkdirSync(join(stateDir, 'bundles'), { recursive: true });
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, code);
  renameSync(temporary, file);
  return { code };
}
