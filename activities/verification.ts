/** Whether a service does what it is for: what it answers over HTTP, and what its own program says of it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cancellationSignal } from '@temporalio/activity';
import { z } from 'zod';
import { beating } from '../src/beating.ts';
import type { Scope, Settings, SmokeReport, SmokeTest } from '../src/contracts/index.ts';
import type { Verification } from '../src/contracts/ports.ts';
import { failure } from '../src/errors.ts';
import { environmentOf } from '../src/withheld.ts';
import { runOnce } from './verification/program.ts';
import { checkOf, type Check } from './verification/smoke.ts';

const AT_ONCE = 4;
const COMMIT = /^([0-9a-f]{40}|[0-9a-f]{64})$/;

/** The rest of the environment is read for its names, to withhold from the service's program what is the control plane's. */
export const env = z.looseObject({ HOLDFAST_STATE_DIR: z.string() });

/** @throws Error that names service, environment and path of a JSON Schema that is wrong: it stops the worker at its start. */
export function createActivities(variables: z.output<typeof env>, settings: Settings) {
  const { HOLDFAST_STATE_DIR: stateDir } = variables;
  const known = new Map(
    settings.services.flatMap(({ name, environments }) =>
      Object.entries(environments).map(([environment, { url, deployment }]) => [
        `${name}/${environment}`,
        { url, verify: deployment.verify, checks: checksOf(deployment.smoke, url, `${name}/${environment}`) },
      ]),
    ),
  );
  const configOf = ({ service, environment }: Scope) => {
    const of = known.get(`${service}/${environment}`);
    if (of === undefined) throw failure('NotConfigured', `${service}/${environment} is not in the configuration`);
    return of;
  };

  return {
    /**
     * Ask each of the configured paths once, four at once; redirects are not followed. An answer that does not come, comes later
     * than `maxMs` or is larger than 1 MiB is a failed test, not a failure. Heartbeats every second. Cancellable.
     * @throws NotConfigured (permanent) when the environment has neither smoke tests nor `verify`: nothing tested is not passed.
     */
    async smokeTests(scope: Scope): Promise<SmokeReport> {
      const { checks, verify } = configOf(scope);
      if (checks.length === 0 && verify === undefined)
        throw failure('NotConfigured', `${scope.service}/${scope.environment} has no deployment.smoke`);
      const tests = await beating(() => inTurn(checks, cancellationSignal()));
      return { passed: tests.every(({ passed }) => passed), tests };
    },
    /**
     * Run `deployment.verify` in the checkout of the release, with the environment's address in `BASE_URL`. What it says last is
     * the detail. Without such a program there is nothing to say against the release. Idempotent on `key`: a result is kept and
     * returned again; a program that a killed worker left is ended, and run anew. One runs at a time for an environment.
     * Heartbeats every second; cancelled or after its time-out, the program and its children are ended.
     * @throws NotFound (permanent) when the commit is not checked out; NotConfigured when the command cannot be started;
     * Unavailable (transient) when something else has ended it.
     */
    async verifyFunctionality(of: Scope & { commit: string; key: string }): Promise<SmokeReport> {
      const { service, environment, commit, key } = of;
      const { url, verify } = configOf(of);
      if (verify === undefined) return { passed: true, tests: [] };
      if (!COMMIT.test(commit)) throw failure('Refused', `"${commit.slice(0, 70)}" is not the id of a commit`);
      const cwd = join(stateDir, 'releases', service, environment, 'checkouts', commit);
      if (!existsSync(cwd))
        throw failure('NotFound', `${service}/${environment} has no checkout of ${commit.slice(0, 12)}`);
      const own = environmentOf(variables, { BASE_URL: url });
      return await beating(() => runOnce({ stateDir, scope: { service, environment }, key, ...verify, cwd, env: own }));
    },
  } satisfies Verification;
}

function checksOf(smoke: SmokeTest[], url: string, of: string): Check[] {
  return smoke.map((test, i) => {
    try {
      return checkOf(test, url);
    } catch (error) {
      throw new Error(`${of}: deployment.smoke[${i}].${error instanceof Error ? error.message : ''}`, { cause: error });
    }
  });
}

/** Results in the order of the checks. */
async function inTurn(checks: Check[], cancelled: AbortSignal): Promise<SmokeReport['tests']> {
  const tests: SmokeReport['tests'] = [];
  const queue = checks.entries();
  const work = async (): Promise<void> => {
    for (const [i, check] of queue) tests[i] = await check(cancelled);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return tests;
}
