/** The safety authority of a service: what it knows, and what people hold up by it. */
import { WithStartWorkflowOperation, type Workflow } from '@temporalio/client';
import type { Environment, Freeze, Ledger, Scope } from '../contracts/index.ts';
import { failure } from '../errors.ts';
import { asked, DECIDE_MS, type Access } from './temporal.ts';
import type { Control, KillSwitch } from '../../workflows/index.ts';

/** @throws NotFound for an environment that is not configured. */
export function environmentOf({ settings }: Access, { service, environment }: Scope): Environment {
  const { environments = {} } = settings.services.find(({ name }) => name === service) ?? {};
  const found = Object.hasOwn(environments, environment) ? environments[environment] : undefined;
  if (found === undefined) throw failure('NotFound', `there is no ${service} in ${environment}`);
  return found;
}

/** What it knows: the kill switch, and the ledgers of the environments; `undefined` where it was never asked. */
export async function controlOf(
  { client }: Access,
  service: string,
): Promise<{ killSwitch: KillSwitch; ledgers: Record<string, Ledger> } | undefined> {
  try {
    return await asked(client, () => client.workflow.getHandle(`control.${service}`).query<Control>('control'));
  } catch (error) {
    if (error instanceof Error && 'type' in error && error.type === 'NotFound') return undefined;
    throw error;
  }
}

/** The first one to ask starts it. */
async function order<A>(
  { client, config }: Access,
  service: string,
  update: 'setKillSwitch' | 'setFreeze',
  argument: A,
): Promise<void> {
  const none: Control = { service, fence: 0, killSwitch: { on: false, by: '', reason: '' }, ledgers: {} };
  const startWorkflowOperation = new WithStartWorkflowOperation('serviceControl', {
    workflowId: `control.${service}`,
    taskQueue: config.HOLDFAST_TASK_QUEUE,
    workflowIdConflictPolicy: 'USE_EXISTING',
    args: [none],
  });
  const ask = () =>
    client.workflow.executeUpdateWithStart<Workflow, void, [A]>(update, { startWorkflowOperation, args: [argument] });
  await asked(client, ask, DECIDE_MS);
}

/** Forbid every change by Holdfast to a service, or allow them again. @throws NotFound, Unavailable. */
export async function setKillSwitch(access: Access, service: string, change: KillSwitch): Promise<void> {
  if (!access.settings.services.some(({ name }) => name === service))
    throw failure('NotFound', `there is no service ${service}`);
  await order(access, service, 'setKillSwitch', change);
}

/** Hold the deployments of an environment, or let them go on. @throws NotFound, Unavailable, Refused for an end that is over. */
export async function setFreeze(access: Access, scope: Scope, freeze?: Freeze): Promise<void> {
  environmentOf(access, scope);
  if (freeze?.until !== undefined && !(Date.parse(freeze.until) > Date.now()))
    throw failure('Refused', 'a freeze must end at a time that is to come, such as 2026-12-24T12:00:00Z');
  const { service, environment } = scope;
  await order(access, service, 'setFreeze', { environment, ...(freeze !== undefined && { freeze }) });
}
