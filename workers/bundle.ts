import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DataConverter } from '@temporalio/common';
import { bundleWorkflowCode } from '@temporalio/worker';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
const sources = [
  'workflows/*.ts',
  'src/runbook/*.ts',
  'src/contracts/*.ts',
  'src/{errors,failure-converter}.ts',
  'workers/{preload,workflow-interceptors,runner-effects,effects}.ts',
  'package-lock.json',
];

/**
 * The workflow bundle: the one that was built ahead into `bundles/`, else built once per content of its sources and kept in
 * `<stateDir>/bundles`, so that a restarted worker is back in a second.
 */
export async function workflowBundle(
  stateDir: string,
  { failureConverterPath }: DataConverter = {},
): Promise<{ code: string }> {
  const digest = createHash('sha256').update(failureConverterPath === undefined ? 'plain' : 'encoded');
  for (const file of globSync(sources, { cwd: ROOT }).sort())
    digest.update(file).update(readFileSync(join(ROOT, file)));
  const name = `${digest.digest('hex').slice(0, 24)}.js`;
  const built = [ROOT, stateDir].map((folder) => join(folder, 'bundles', name)).find((file) => existsSync(file));
  if (built !== undefined) return { code: readFileSync(built, 'utf8') };
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(ROOT, 'workflows/index.ts'),
    preloadModules: [join(ROOT, 'workers/preload.ts')],
    workflowInterceptorModules: [
      'workers/workflow-interceptors.ts',
      'src/runbook/runners.ts',
      'workers/runner-effects.ts',
    ].map((file) => join(ROOT, file)),
    ...(failureConverterPath !== undefined && { failureConverterPath }),
    logger: { log() {}, trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error },
  });
  mkdirSync(join(stateDir, 'bundles'), { recursive: true });
  const file = join(stateDir, 'bundles', name);
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, code);
  renameSync(temporary, file);
  return { code };
}
